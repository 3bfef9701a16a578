"""Per-sample gradients the general way: ``vmap(grad)``, or one sample after the other.

It takes any model, and costs what the layer rules save. Which of the two is faster depends on the model (a
large embedding: the loop; many small layers: vmap), and is tried out on the first samples.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.utils._pytree import tree_map

from .batches import Batch
from .layer_rules import Reduction
from .precision import at_least_float32

SAMPLE_GRADIENTS = 2**24  # most elements that vmap may hold at once
TRIED = 4  # samples, when the faster way is not known


class General:
    """``total(parameters, batch)``: the sum of the scores of a batch, given some parameters by name.
    ``method``: ``"auto"`` takes the faster of vmap and the loop (the loop where vmap does not go), ``"vmap"``
    raises there, ``"loop"`` never tries. ``twice``: every sample is run beside a copy of itself."""

    def __init__(self, total: Callable[[dict[str, Tensor], Batch], Tensor], method: str, twice: bool = False):
        self.total, self.method, self.twice = total, method, twice
        self.way = None if method == "auto" else method

    def sums(self, rest: dict[str, Tensor], batch: Batch, reduce: Reduction) -> dict[str, Tensor]:
        """Sums over the samples of the reduced gradients of ``rest``, by name."""
        found = {k: zeros(p) for k, p in rest.items()}

        def add(part: Batch, way: str) -> None:
            for g in self._by_vmap(rest, part) if way == "vmap" else self._by_loop(rest, part):
                for name, total in found.items():
                    total += reduce.samples(g[name])

        first = 0
        if self.way is None and len(batch) > 2 * TRIED:
            first = 2 * TRIED
            self.way = self._faster(rest, batch, add)
        chunk = max(1, SAMPLE_GRADIENTS // sum(p.numel() for p in rest.values()))
        for k in range(first, len(batch), chunk):
            add(batch.rows(slice(k, k + chunk)), self.way or "loop")
        return found

    def _faster(self, rest, batch: Batch, add: Callable) -> str:
        """Adds the first 2 `TRIED` samples, half of them each way."""
        spent = {}
        for k, way in enumerate(("loop", "vmap")):
            part = batch.rows(slice(k * TRIED, (k + 1) * TRIED))
            try:
                if way == "vmap":  # what it sets up at its first call is not counted, nor what it adds
                    list(self._by_vmap(rest, part))
                start = time.perf_counter()
                add(part, way)
                spent[way] = time.perf_counter() - start
            except torch.OutOfMemoryError:
                raise
            except Exception:  # vmap stops at much that is not its own (threads, data-dependent ways)
                if way == "loop":
                    raise
                add(part, "loop")
        many = max(1, SAMPLE_GRADIENTS // sum(p.numel() for p in rest.values())) > TRIED
        return "vmap" if spent.get("vmap", torch.inf) < (1.5 if many else 1) * spent["loop"] else "loop"

    def one(self, rest: dict[str, Tensor], batch: Batch) -> Tensor:
        """The score of a single sample."""
        return self.total(rest, batch.twice()) / 2 if self.twice else self.total(rest, batch)

    def _by_vmap(self, rest, part: Batch):
        def one(rest, inputs, targets):
            return self.one(rest, Batch(inputs, targets).map(lambda t: t[None]))

        dims = tree_map(lambda t: 0 if isinstance(t, Tensor) else None, (part.inputs, part.targets))
        yield vmap(grad(one), (None, *dims))(rest, part.inputs, part.targets)

    def _by_loop(self, rest, part: Batch):
        for k in range(len(part)):
            leaves = {name: p.detach().requires_grad_() for name, p in rest.items()}
            g = gradients(self.one(leaves, part.rows(slice(k, k + 1))), list(leaves.values()))
            yield {name: torch.zeros_like(p)[None] if g_k is None else g_k[None]
                   for (name, p), g_k in zip(rest.items(), g, strict=True)}  # fmt: skip


def gradients(total: Tensor, parameters: list[Tensor]) -> list[Tensor | None]:
    """Autograd's gradients, None for each parameter that the total does not depend on."""
    if not total.requires_grad:
        return [None] * len(parameters)
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return [g.to_dense() if g is not None and g.is_sparse else g for g in found]


def zeros(p: Tensor, device: str | torch.device | None = None) -> Tensor:
    """For sums: float32 or finer, on ``device`` (default: that of p)."""
    return torch.zeros_like(p, dtype=at_least_float32(p.dtype), device=device, requires_grad=False)
