"""What LFSSD and SSD give back, and what they say where nothing has changed."""

import warnings
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from .agreement import Agreement
from .dampening import largest_ratio
from .importance_sums import Importance


@dataclass(frozen=True)
class Unlearned:
    """The new model, the per-layer report of `dampen`, both importances, the settings used, and ``choice``,
    how alpha was chosen if that was by agreement (``choice.samples``: what the choice cost)."""

    model: nn.Module
    report: pd.DataFrame
    forget: Importance
    full: Importance
    alpha: float
    lam: float
    choice: Agreement | None = None

    @property
    def selected_share(self) -> float:
        """Selected weights as a share of all that could be (trainable, and named by ``parameters``), 0..1."""
        return float(self.report["selected"].sum() / self.report["size"].sum())

    @property
    def falls_short(self) -> bool:
        r"""Whether alpha was chosen and :math:`A_{\alpha^*}(D_f)` is more than 1/2 above :math:`A^*`, see
        `agreement`. (With an aim of 1/2 or more it cannot be.)"""
        return self.choice is not None and self.choice.left - self.choice.aim > 0.5

    @property
    def largest_ratio(self) -> float:
        """The largest I(D_f) / I(D) of a weight: no alpha from here on selects anything."""
        return largest_ratio(self.forget, self.full)


def warn_if_unchanged(method: str, model: nn.Module, done: Unlearned, stacklevel: int) -> None:
    """Warns where no weight differs from the model's, or the chosen alpha falls short, with a remedy."""
    if not done.selected_share:
        ratio = done.largest_ratio
        if done.choice is None:
            why = "so take a smaller alpha"
        elif len(done.choice.curve) > 1:
            why = "and no smaller alpha agrees better, see choice.curve"
        elif ratio > 1:
            why = f"so no alpha changes a weight at lam={done.lam:g}: take a lam below that ratio"
        else:
            why = "so nothing in the model belongs to D_f more than to D"
        said = (
            f"no weight has I(D_f) > alpha I(D) at alpha={done.alpha:g}; the largest ratio is {ratio:.3g}, "
        )
        warnings.warn(f"{method} changed nothing: {said}{why}", stacklevel=stacklevel + 1)
    elif all(torch.equal(p, q) for p, q in zip(model.parameters(), done.model.parameters(), strict=True)):
        warnings.warn(
            f"{method} changed nothing: {done.selected_share:.2%} of the weights are selected at alpha="
            f"{done.alpha:g}, but lam={done.lam:g} times I(D) is at least I(D_f) in each, or they are 0; the "
            f"largest ratio I(D_f) / I(D) is {done.largest_ratio:.3g}, so take a smaller lam",
            stacklevel=stacklevel + 1,
        )
    elif done.falls_short:
        warnings.warn(
            f"{method} forgot little: at the best threshold, alpha={done.alpha:g}, {done.choice.left:.0%} of "
            f"the answers on D_f are still the original's, and the aim is {done.choice.aim:.0%}, see "
            "choice.curve" + (f". A smaller lam than {done.lam:g} dampens harder" if done.lam else ""),
            stacklevel=stacklevel + 1,
        )
