r"""LFSSD as a drawing: two sets, two importances, their ratio, a threshold, a factor.

The five weights and their importances are made up; `dampening.factor` is applied to them,
:math:`\theta_i \leftarrow \theta_i \min(\lambda / r_i, 1)` where
:math:`r_i = I_i(D_f) / I_i(D) > \alpha`.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from .. import dampening
from .style import STYLES

FORGET, FULL = torch.tensor([2.4, 2.1, 6.0, 1.6, 6.75]), torch.tensor([2.0, 3.0, 1.0, 2.0, 1.5])
WEIGHTS, ALPHA = torch.tensor([1.0, -0.8, 1.2, 0.6, -1.0]), 3.0
SELECTED, REST, GONE = STYLES["lfssd"][0], "0.6", "#009E73"


def method() -> Figure:
    """Four steps from top to bottom: D and D_f, an importance from either, select, dampen. Upright and in
    large letters, so that a phone shows it."""
    figure = plt.figure(figsize=(5, 8.2))
    rows = figure.add_gridspec(4, 2, height_ratios=[0.9, 1, 1.15, 1.15])
    picked = dampening.selected(FORGET, FULL, ALPHA)
    colours = [SELECTED if one else REST for one in picked]
    _sets(figure.add_subplot(rows[0, :]))
    _weights(figure.add_subplot(rows[1, 0]), FORGET, [GONE] * 5, "2 · importance $I(D_f)$", (0, 7.5))
    _weights(figure.add_subplot(rows[1, 1]), FULL, [REST] * 5, "2 · importance $I(D)$", (0, 7.5))
    axes = figure.add_subplot(rows[2, :])
    _weights(axes, FORGET / FULL, colours, "3 · ratio $r = I(D_f) / I(D)$: select above $α$", (0, 7))
    axes.axhline(ALPHA, color="0.2", ls="--")
    axes.text(-0.45, ALPHA + 0.15, "α", fontsize="large")
    axes = figure.add_subplot(rows[3, :])
    axes.bar(range(5), WEIGHTS.tolist(), 0.7, fill=False, edgecolor="0.4", ls="--", label="before")
    after = WEIGHTS * dampening.factor(FORGET, FULL, ALPHA, lam=1.0)
    _weights(axes, after, colours, "4 · dampen: θ · min(λ / r, 1), here λ = 1", (-1.4, 1.6))
    axes.axhline(0, color="0.2", lw=0.8)
    axes.legend(loc="upper right", frameon=False)
    return figure


def _weights(axes: Axes, values: Tensor, colours: Sequence[str], title: str, ylim: tuple) -> None:
    """One bar a weight."""
    axes.bar(range(5), values.tolist(), 0.7, color=colours)
    axes.set_xticks(range(5), [f"θ{k}" for k in "₁₂₃₄₅"])
    axes.set(title=title, ylim=ylim, yticks=[])
    axes.grid(visible=False)


def _sets(axes: Axes) -> None:
    """D with D_f inside it, and an arrow from either."""
    axes.set(xlim=(0, 10), ylim=(0, 4.2), title="1 · the forget set $D_f$ lies inside $D$")
    axes.axis("off")
    look = dict(boxstyle="round,pad=0.02,rounding_size=0.3", ec="0.4")
    axes.add_patch(FancyBboxPatch((0.2, 0.9), 9.6, 3.1, fc="0.9", **look))
    axes.add_patch(FancyBboxPatch((0.6, 1.2), 3.6, 1.5, fc=GONE, **look))
    axes.text(5, 3.35, "$D$: all training images", ha="center", va="center")
    axes.text(2.4, 1.95, "$D_f$: the threes", ha="center", va="center")
    for x in (2.4, 7.5):
        axes.annotate("", (x, 0), (x, 1.2), arrowprops=dict(arrowstyle="-|>", color="0.2", lw=1.5))
