"""Per-sample gradients the general way: ``vmap(grad)``, or one sample after the other where vmap does not go.

It takes any model, and costs what the layer rules save.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, vmap

from .layer_rules import Reduction
from .precision import at_least_float32

Batch = tuple[Tensor, ...]  # (inputs, *targets), each with the samples in dimension 0
SAMPLE_GRADIENTS = 2**24  # most elements that vmap may hold at once


class General:
    """``total(parameters, sample)``: the score of one sample, given some parameters by name.
    ``method``: ``"auto"`` tries vmap and goes over to the loop for good where that fails, ``"vmap"`` raises
    there, ``"loop"`` never tries."""

    def __init__(self, total: Callable[[dict[str, Tensor], Batch], Tensor], method: str):
        self.total, self.method, self.loop = total, method, method == "loop"

    def sums(self, rest: dict[str, Tensor], batch: Batch, reduce: Reduction) -> dict[str, Tensor]:
        """Sums over the samples of the reduced gradients of ``rest``, by name."""

        def one(rest: dict[str, Tensor], *sample: Tensor) -> Tensor:
            return self.total(rest, tuple(t[None] for t in sample))

        chunk = max(1, SAMPLE_GRADIENTS // sum(p.numel() for p in rest.values()))
        found = {k: zeros(p) for k, p in rest.items()}
        for part in zip(*(t.split(chunk) for t in batch), strict=True):
            for g in self._gradients(one, rest, part):
                for name, total in found.items():
                    total += reduce.samples(g[name])
        return found

    def _gradients(self, one: Callable, rest: dict[str, Tensor], part: Batch):
        if not self.loop:
            try:
                yield vmap(grad(one), (None, *(0 for _ in part)))(rest, *part)
                return
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:  # vmap cannot trace this model (say, data-dependent control flow)
                if self.method == "vmap":
                    raise
                self.loop = True
        for sample in zip(*part, strict=True):
            leaves = {k: p.detach().requires_grad_() for k, p in rest.items()}
            g = gradients(one(leaves, *sample), list(leaves.values()))
            yield {k: torch.zeros_like(p)[None] if g_k is None else g_k[None]
                   for (k, p), g_k in zip(rest.items(), g, strict=True)}  # fmt: skip


def gradients(total: Tensor, parameters: list[Tensor]) -> list[Tensor | None]:
    """Autograd's gradients, None for each parameter that the total does not depend on."""
    if not total.requires_grad:
        return [None] * len(parameters)
    return list(torch.autograd.grad(total, parameters, allow_unused=True))


def zeros(p: Tensor, device: str | torch.device | None = None) -> Tensor:
    """For sums: float32 or finer, on ``device`` (default: that of p)."""
    return torch.zeros_like(p, dtype=at_least_float32(p.dtype), device=device, requires_grad=False)
