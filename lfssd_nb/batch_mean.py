r"""Sums over batches of :math:`|\bar g|` or :math:`\bar g^2`, where :math:`\bar g` is the gradient of a batch
mean: what the published code of SSD and LFSSD computes."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .batches import Batch
from .logits import Logits
from .per_sample.guard import Guard
from .precision import wide
from .without_rules import gradients


class BatchMean:
    """Adds up gradients of ``score`` (a mean over the batch) for ``parameters``, batch by batch."""

    def __init__(
        self, logits: Logits, score: Callable[..., Tensor], parameters: dict[str, Tensor], guard: Guard
    ):
        self.logits, self.score, self.parameters, self.guard = logits, score, parameters, guard
        self.norms = any(isinstance(layer, _BatchNorm) for layer in logits.modules())
        self.tried = False

    def add(self, batch: Batch, kind: str, sums: dict[str, Tensor]) -> None:
        # PyTorch's batch norm has a wrong gradient for a single row on a CPU; the mean of two equal rows is
        # it
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
        self.guard.ready()
        total = self.score(wide(self.logits(batch.inputs)), *batch.targets)
        grads = gradients(total, list(self.parameters.values()))
        self.guard.put_back()
        return grads

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
