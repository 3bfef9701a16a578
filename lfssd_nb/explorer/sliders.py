"""Sliders for alpha and lambda: what if the threshold were lower, what if the weights were pruned?

>>> explore(model, data, scenario, {"LFSSD": (i_f, i_d)}, gold)     # as the last line of a notebook cell

`picture` shows one setting without widgets, where no kernel runs.
"""

import html
import math
from collections.abc import Mapping

import ipywidgets as widgets
from torch import nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario
from ..sweeps.grids import Pair
from .drawing import Board, numbers, picture, setting
from .trial import Trial

__all__ = ["Explorer", "explore", "picture"]
START = 0.4
STEP = math.log10(1 / START) / 26  # on the alpha slider: a factor of 1.036
LOWEST = -111 * STEP  # 0.02, so that both ends and START are whole steps


class Explorer(widgets.VBox):
    """A `Trial` behind sliders ``scale`` and ``lam`` and a menu ``estimator``; shows ``numbers`` and
    ``image``. Setting a ``.value`` in Python does what moving the slider does."""

    def __init__(self, trial: Trial):
        self.trial, self.board = trial, Board(trial, caption=False)
        wide = dict(continuous_update=True, layout=widgets.Layout(width="360px"))
        self.estimator = widgets.Dropdown(
            options=list(trial.dials), description="estimator", layout=widgets.Layout(width="220px")
        )
        self.scale = widgets.FloatLogSlider(
            START, min=LOWEST, max=0, step=STEP, description="α′ = α N_f/N", readout_format=".3f",
            **wide,
        )  # fmt: skip
        self.lam = widgets.FloatSlider(1.0, min=0, max=1.5, step=0.05, description="λ", **wide)
        for slider in (self.scale, self.lam):
            slider.style.description_width = "90px"
        self.numbers = widgets.HTML()
        self.image = widgets.Image(format="png", layout=widgets.Layout(width="100%", max_width="1000px"))
        controls = [self.estimator] * (len(trial.dials) > 1) + [self.scale, self.lam]
        self._redraw()
        row = widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self.numbers, self.image])
        for control in controls:
            control.observe(self._redraw, "value")

    def _redraw(self, _=None) -> None:
        # The kernel is idle only after this. Until then a front end holds values back, all but the newest.
        alpha = self.trial.alpha(self.scale.value, self.estimator.value)
        reading = self.trial.read(alpha, self.lam.value, self.estimator.value)
        lines, png = (setting(reading), numbers(self.trial, reading)), self.board.png(reading)
        self.numbers.value = "<br>".join(map(html.escape, lines))  # only now: no number without its picture
        self.image.value = png

    def __repr__(self) -> str:  # what is shown of a committed notebook
        return f"Sliders for alpha and lambda ({', '.join(self.trial.dials)}): run this cell in Jupyter"


def explore(
    model: nn.Module,
    data: Dataset,
    scenario: Scenario,
    importances: Mapping[str, Pair],
    gold: nn.Module | None = None,
) -> Explorer:
    r"""Sliders for :math:`\alpha' = \alpha N_f / N` (0.02 to 1) and :math:`\lambda` (0 to 1.5).

    importances: ``(I(D_f), I(D))`` by name as in `grids.grid`; a menu chooses among several. gold: a
    retrained model to compare with. Every move dampens, makes one forward pass over the images of
    `grids.exam` and redraws: about 0.05 s for the digits and a ResNet18 of width 16 on one core. Where the
    test set is large, make it smaller (`Dataset.subset`, and the scenario and the importances with that).

    The model is left alone. Raises what `Trial` raises.
    """
    return Explorer(Trial(model, data, scenario, importances, gold))
