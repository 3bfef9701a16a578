"""I(D) computed once: it depends on neither the forget set nor alpha, and many methods ask for it."""

from collections.abc import Callable

from torch import Tensor, nn

from ..importance_sums import Importance
from ..system.stopwatch import counting, now


class Memory:
    """Importances of all of D for one model (the last that was asked about) and one order of D.

    ``recalled``: ``(seconds, samples forward)`` that what was *not* computed again had cost, added up since
    the caller last set it to ``(0.0, 0)``: with it, a method's cost does not depend on which came first.
    """

    def __init__(self):
        self.model, self.kept, self.recalled = None, {}, (0.0, 0)

    def importance(
        self, estimate: Callable, model: nn.Module, *columns: Tensor, order: str = "", **options
    ) -> Importance:
        """``estimate(model, *columns, **options)``, from memory where it was asked before. ``order`` names
        another order of D than the usual one: a batch mean depends on it."""
        if model is not self.model:
            self.model, self.kept = model, {}
        key = estimate, order, *map(len, columns), *sorted(options.items())
        if key not in self.kept:
            self.kept = {
                k: v for k, v in self.kept.items() if k[1] in ("", order)
            }  # one other order at a time
            start = now(columns[0].device)
            with counting(type(model)) as seen:
                found = estimate(model, *columns, **options)
            self.kept[key] = found, now(columns[0].device) - start, seen[0]
            return found
        found, seconds, samples = self.kept[key]
        self.recalled = self.recalled[0] + seconds, self.recalled[1] + samples
        return found
