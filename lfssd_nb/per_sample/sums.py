r"""Sums over samples of :math:`|g_n|` or :math:`g_n^2`, for any ``nn.Module``.

:math:`g_n = \partial s(f(x_n)) / \partial \theta` is the gradient of *one* sample's score. One forward and
one backward pass of the summed score show every use of a parameter what went in and the gradient of what came
out (`uses`), and `layer_rules` turns those into per-sample gradients. Before that, a `plan` is made on a few
samples and checked against a loop over single ones. Parameters that no rule covers go the way of
`without_rules`.
"""

import warnings

import torch
from torch import Tensor, nn

from ..batches import Batch
from ..layer_rules import Reduction
from ..logits import Logits
from ..precision import wide
from ..without_rules import General, zeros
from . import plan
from .guard import Guard
from .passes import Passes, Score
from .trust import check_larger, check_layers, check_samples, has_batch_norm


class SlowWay(UserWarning):
    """Some parameters are not covered by a rule."""


class PerSample:
    """Adds up per-sample gradients of ``score`` over batches, for the trainable parameters.

    Sums are float32 or finer, and so are the logits that ``score`` sees; where a rule applies, a
    bfloat16 or float16 model's gradients of single samples are too.

    ``method="auto"`` uses layer rules, and for the rest ``vmap`` or a loop over single samples, whichever is
    faster; ``"vmap"`` and ``"loop"`` are those general ways alone. ``first`` is a batch on which the plan is
    made. The model must be in eval mode and is not changed.

    ``rest``: the names that no rule covers, ``why`` each. ``SlowWay`` is warned of once, with the reason.

    Raises ``ValueError`` for a model whose logits are not a function of each sample alone (see `trust`).
    """

    def __init__(
        self, model: nn.Module, score: Score, first, method: str = "auto", guard: Guard | None = None
    ):
        if method not in ("auto", "vmap", "loop"):
            raise ValueError(f"unknown method {method!r}; choose 'auto', 'vmap' or 'loop'")
        logits = model if isinstance(model, Logits) else Logits(model)
        check_layers(logits.model)
        self.passes = passes = Passes(logits, score, guard or Guard(logits.model))
        first = _batch(first)
        few = plan.few_of(first)
        expected = self._trust(first, few)
        score(wide(expected), *few.targets)  # what it raises is the caller's own
        twice = has_batch_norm(passes.model) or not self._single_rows_work(few, expected)
        self.general = General(passes.total, method, twice)
        self.noise: dict[str, Tensor] = {}
        self.method, self.plans, self.warned = method, {}, False
        self.larger: set[str] = set()  # the shapes of which a batch larger than a plan's was looked at
        self._plan_for(first, few, expected)

    @property
    def rest(self) -> list[str]:
        return self.passes.rest

    @property
    def why(self) -> dict[str, str]:
        return self.passes.why

    def __call__(self, batch: Batch, kind: str) -> dict[str, Tensor]:
        """Sums over the batch's samples of \\|g\\| (``kind="abs"``) or g^2 (``"square"``), by name."""
        sums = {name: zeros(p) for name, p in self.passes.theta.items()}
        self.add(batch, kind, sums)
        return sums

    def add(self, batch: Batch, kind: str, sums: dict[str, Tensor]) -> None:
        """Adds them to ``sums``, each as soon as its layer is done and on the device of its sum: at no
        time is there a second copy of them all."""
        batch = _batch(batch)
        reduce = Reduction(kind, self.passes.budget)
        half = len(batch) == 1  # PyTorch treats a single row in its own way, sometimes wrongly

        def take(name: str, value: Tensor, terms: Tensor | None, start: int | None) -> None:
            if half:
                value, terms = value / 2, None if terms is None else terms / 2
            for total, given in ((sums[name], value), (self._noise_of(name, terms), terms)):
                if given is not None:
                    if start is not None:
                        total = total.view(-1)[start : start + given.numel()].view(given.shape)
                    total += given.to(total.device)

        if not self.trusted and _several(batch):
            self._trust(batch, plan.few_of(batch))
        self._plan_for(batch)
        if self.passes.covered:
            for part in self.passes.parts(batch.twice() if half else batch):
                found = self.passes.by_rules(part, reduce, take)
                if len(part) > plan.PLANNED and (shapes := str(batch.shapes)) not in self.larger:
                    check_larger(self.passes.model, self.passes.forward, part, found, self.passes.close / 10)
                    self.larger.add(shapes)
        self.add_rest(batch, reduce, sums)

    def add_rest(self, batch: Batch, reduce: Reduction, sums: dict[str, Tensor]) -> None:
        """What no rule covers, alone."""
        if self.rest:
            rest = {name: self.passes.theta[name].detach() for name in self.rest}
            for name, value in self.general.sums(rest, batch, reduce).items():
                sums[name] += value.to(sums[name].device)

    def _trust(self, batch: Batch, few: Batch) -> Tensor:
        """The logits of ``few``; a single sample says little about who mixes what."""
        passes = self.passes
        found = check_samples(passes.model, passes.forward, batch, few, passes.guard, passes.close / 10)
        self.trusted = _several(batch)
        return found

    def _plan_for(self, batch: Batch, few: Batch | None = None, expected: Tensor | None = None) -> None:
        """Inputs of another shape (longer sequences) may go other ways, and have a plan of their own."""
        shapes = str(batch.shapes)
        if shapes in self.plans:
            self.passes.use(self.plans[shapes])
            return
        few = plan.few_of(batch) if few is None else few
        if expected is None:
            with torch.no_grad():
                expected = self.passes.forward(few)
        if self.method != "auto":
            plan.find_caches(self.passes, few, expected)
            self.passes.cover(dict.fromkeys(self.passes.theta, f"method={self.method!r}"))
        else:
            plan.make(self.passes, self.general, few, expected, _several(batch))
            if plan.UNSURE in self.why.values():
                return  # the next batch may know more
            if self.rest:
                self._warn()
        self.plans[shapes] = self.passes.state()

    def silence(self, kind: str, sums: dict[str, Tensor]) -> None:
        r"""Sets to 0 what is nothing but rounding: a sum over positions :math:`\sum_l b_{nl}` that is, over
        all samples, at most 4 units of rounding of :math:`\sum_l |b_{nl}|`."""
        for name, terms in self.noise.items():
            eps = min(4 * torch.finfo(self.passes.theta[name].dtype).eps, 1e-2)
            floor = (eps if kind == "abs" else eps**2) * terms
            sums[name].masked_fill_((sums[name] <= floor.to(sums[name].device)), 0.0)

    def _noise_of(self, name: str, terms: Tensor | None) -> Tensor | None:
        if terms is not None and name not in self.noise:
            self.noise[name] = zeros(self.passes.theta[name])
        return self.noise.get(name)

    @torch.no_grad()
    def _single_rows_work(self, few: Batch, expected: Tensor) -> bool:
        try:
            logits = self.passes.forward(few.rows(slice(0, 1)))
        except (RuntimeError, IndexError, ValueError, TypeError):
            return False
        return logits.shape == expected[:1].shape

    def _warn(self) -> None:
        """Once, for the first plan that has such parameters."""
        if self.warned:
            return
        self.warned = True
        theta = self.passes.theta
        size = sum(theta[name].numel() for name in self.rest)
        all_ = sum(p.numel() for p in theta.values())
        name = max(self.rest, key=lambda name: theta[name].numel())
        warnings.warn(
            f"{len(self.rest)} of {len(theta)} parameters ({size / all_:.0%} of the weights; {name!r}: "
            f"{self.why[name]}) take the slow way, a gradient for every sample; importance.explain(model, x) "
            "shows what it costs",
            SlowWay,
            stacklevel=5,
        )


def _batch(given) -> Batch:
    return given if isinstance(given, Batch) else Batch(given[0], tuple(given[1:]))


def _several(batch: Batch) -> bool:
    """Whether there are different samples in it."""
    return len(plan.different(batch, list(range(min(len(batch), 64))))) > 1
