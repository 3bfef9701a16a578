"""Forward and backward passes of a model that is left as it is, for gradients of single samples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..batches import Batch
from ..layer_rules import Reduction
from ..logits import Logits
from ..parameters import call_with
from ..precision import wide
from .guard import Guard
from .one_use import Key, Layout
from .pullback import Pullback
from .uses import Watch

Score = Callable[..., Tensor]  # (logits, *targets) -> sum over the samples of their scores


class Passes:
    """``score`` of ``logits`` and its gradients; which parameters the rules cover, and what they know.

    ``theta``: the trainable parameters by name; ``covered`` of them and the ``rest``, ``why`` each;
    ``layouts``: where the samples are in each use; ``counts``: how often it comes; ``entries``: how many
    numbers all uses give for a sample. All of it is for inputs of one shape.
    """

    def __init__(self, logits: Logits, score: Score, guard: Guard):
        self.logits, self.model, self.score, self.guard = logits, logits.model, score, guard
        self.theta = {k: p for k, p in self.model.named_parameters() if p.requires_grad}
        exact = {p.dtype for p in self.theta.values()} <= {torch.float32, torch.float64}
        self.close = 1e-3 if exact else 1e-1  # relative to the largest: what counts as equal
        on_gpu = next(iter(self.theta.values())).device.type != "cpu"
        self.budget = 2**26 if on_gpu else 2**18
        self.pullback = Pullback(self.theta)
        self.layouts: dict[Key, Layout] = {}
        self.counts: dict[Key, int] = {}
        self.entries = 0
        self.cover({})

    def cover(self, why: dict[str, str]) -> None:
        """All parameters but those that ``why`` names."""
        self.why, self.rest = why, list(why)
        self.covered = [name for name in self.theta if name not in why]

    def state(self) -> tuple:
        """What `use` takes up again."""
        return self.why, self.layouts, self.counts, self.entries

    def use(self, state: tuple) -> None:
        why, self.layouts, self.counts, self.entries = state
        self.cover(why)

    def forward(self, batch: Batch) -> Tensor:
        return self.guard.around(lambda: self.logits(batch.inputs))

    def total(self, theta: dict[str, Tensor], batch: Batch) -> Tensor:
        """The summed score with some parameters replaced."""
        theta = {f"model.{name}": p for name, p in theta.items()}
        logits = self.guard.around(lambda: call_with(self.logits, theta, batch.inputs))
        return self.score(wide(logits), *batch.targets)

    def watched(self, batch: Batch, *planned) -> tuple[Tensor, Watch]:
        """Logits, and what `Watch` saw; ``planned``: its layouts, reduction, taker and pullback."""
        with self._frozen():
            watch = Watch({name: self.theta[name] for name in self.covered}, len(batch), *planned)
            inputs = batch.map(lambda t: watch.mark_sample(t.view_as(t)))
            with watch:
                return self.forward(inputs), watch

    def parts(self, batch: Batch) -> list[Batch]:
        """The batch, or its halves where it is large: what the rules keep and copy then fits into the memory
        that the activations of the whole would take."""
        half = (len(batch) + 1) // 2
        if len(batch) < 16 or len(batch) * self.entries < 32 * self.budget:
            return [batch]
        return [batch.rows(slice(half)), batch.rows(slice(half, None))]

    def by_rules(self, batch: Batch, reduce: Reduction, take: Callable) -> Tensor:
        """The logits, after one forward and one backward pass; ``take`` receives each parameter's sum as it
        is complete."""
        logits, watch = self.watched(batch, self.layouts, reduce, take, self.pullback)
        for key in watch.uses.keys() | self.counts.keys():
            if watch.uses[key] != self.counts[key]:
                raise RuntimeError(watch.unlike(key, f"is used {watch.uses[key]} times"))
        watch.backward(self.score(wide(logits), *batch.targets))
        return logits.detach()

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        """What no rule covers is a constant for the rules' passes."""
        try:
            for name in self.rest:
                self.theta[name].requires_grad_(False)
            yield
        finally:
            for name in self.rest:
                self.theta[name].requires_grad_(True)
