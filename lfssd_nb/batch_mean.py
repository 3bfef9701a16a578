r"""Sums over batches of :math:`|\bar g|` or :math:`\bar g^2`, where :math:`\bar g` is the gradient of a batch
mean: what the published code of SSD and LFSSD computes."""

from collections.abc import Callable

import torch
from torch import Tensor

from .batches import Batch
from .logits import Logits
from .per_sample.guard import Guard
from .per_sample.trust import has_batch_norm
from .precision import wide
from .without_rules import gradients


class BatchMean:
    """Adds up gradients of ``score`` (a mean over the batch) for ``parameters``, batch by batch."""

    def __init__(
        self, logits: Logits, score: Callable[..., Tensor], parameters: dict[str, Tensor], guard: Guard
    ):
        self.logits, self.score, self.parameters, self.guard = logits, score, parameters, guard
        self.norms = has_batch_norm(logits)
        self.tried = False

    def add(self, batch: Batch, kind: str, sums: dict[str, Tensor]) -> None:
        # the mean of two equal rows is that of one
        batch = batch.twice() if self.norms and len(batch) == 1 else batch
        grads = self._gradients(batch)
        if None in grads and not self.tried:
            grads = self._without_caches(batch, grads)
        self.tried = True
        for total in sums.values():
            g = grads.pop(0)  # freed before the next is transformed
            if g is not None:
                g = wide(g)
                total += (g.abs() if kind == "abs" else g * g).to(total.device)

    def _gradients(self, batch: Batch) -> list[Tensor | None]:
        logits = self.guard.around(lambda: self.logits(batch.inputs))
        return gradients(self.score(wide(logits), *batch.targets), list(self.parameters.values()))

    def _without_caches(self, batch: Batch, grads: list) -> list:
        """A parameter without a gradient may have been read once and kept by its layer."""
        if not self.guard.empty_caches():
            return grads
        try:
            again = self._gradients(batch)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # what was taken away was no cache: anything may happen
            again = grads
        if again.count(None) >= grads.count(None):
            self.guard.keep_caches()
            return self._gradients(batch)
        return again
