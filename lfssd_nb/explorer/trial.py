r"""One network, tried at any :math:`(\alpha, \lambda)`: what the explorer measures and `drawing` draws.

>>> trial = Trial(model, data, scenario, {"LFSSD": (i_f, i_d)}, gold)
>>> trial.read(alpha=4, lam=1).retained        # percent; trial.original and trial.gold to compare with
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import VisionTransformer

from ..audit.how_accurate import percent_correct
from ..dampening import factor
from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..importance_sums import Importance
from ..networks.forward import logits
from ..networks.resnet import ResNet18
from ..parameters import place
from ..redampen import Dial
from ..sweeps.grids import Pair, exam
from .groups import groups

SAMPLES = 5  # images shown of each kind, forgotten and retained


@dataclass(frozen=True)
class Score:
    """One network's accuracies in percent: ``retained`` and ``forgotten`` as `grids.exam` measures them,
    ``groups`` one per `Trial.groups`. ``answers``: predicted class of each of `Trial.samples`."""

    retained: float
    forgotten: float
    groups: list[float]
    answers: list[int]


@dataclass(frozen=True)
class Reading:
    r"""A setting and what it does. ``scale``: :math:`\alpha' = \alpha N_f / N`. ``selected``: share of all
    weights, ``share``: of the weights of each of `Trial.layers` (0..1). ``factor``: mean of what the selected
    weights of a layer are multiplied by (NaN where there are none)."""

    estimator: str
    alpha: float
    scale: float
    lam: float
    selected: float
    share: list[float]
    factor: list[float]
    score: Score


class Trial:
    """Holds a `Dial` per estimator, and the scores of the original and of the gold model.

    importances: ``(I(D_f), I(D))`` by name, as in `grids.grid`. gold: a model to compare with.
    ``groups``: those of `groups.groups`, with bars of their own; ``layers``: names of layers, input first.
    ``samples``: positions in ``x`` of images to show, the first ``forgotten_samples`` of them of D_f's kind;
    ``titles``: what they show.

    Works on the device of the data; the model is left alone. Raises what `Dial` raises, and ``ValueError``
    for no importances, and for importances, a scenario or a network that do not belong to the data.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        scenario: Scenario,
        importances: Mapping[str, Pair],
        gold: nn.Module | None = None,
    ):
        _check(data, scenario, importances, gold)
        self.data, self.scenario = data, scenario
        self.dials = {name: Dial(model, *pair) for name, pair in importances.items()}
        self.unit = {name: i_d.samples / i_f.samples for name, (i_f, i_d) in importances.items()}
        self.exact = {name: i_f.reduction == "sample" for name, (i_f, _) in importances.items()}
        self.x, self._measure = exam(data, scenario)
        self.y = data.test_y
        if not len(scenario.test_forget):
            self.y = torch.cat([data.test_y, data.train_y[scenario.forget]])
        self.groups, forgotten, titles = groups(data, scenario, self.y.cpu())
        spread = torch.linspace(0, len(forgotten) - 1, min(SAMPLES, len(forgotten))).long()
        mixed_up = self.y[forgotten].unique().tolist()  # images of these classes come first: look-alikes
        gone = set(forgotten.tolist())
        kept = [next((k for k in g.index.tolist() if k not in gone), None) for g in self.groups]
        kept = [k for k in kept if k is not None]
        kept.sort(key=lambda k: int(self.y[k]) not in mixed_up)
        self.forgotten_samples = len(spread)
        self.samples = torch.cat([forgotten[spread], torch.tensor(kept[:SAMPLES], dtype=torch.long)])
        self.titles = [titles[k] for k in self.samples]
        known = isinstance(model, ResNet18 | VisionTransformer)
        layer = {k: place(k)[0] if known else k.partition(".")[0] for k, _ in model.named_parameters()}
        self.layers = list(dict.fromkeys(layer[k] for k, p in model.named_parameters() if p.requires_grad))
        # layer and size of each parameter in the order of a dial: stored importances come sorted by name
        self._rows = {
            name: torch.tensor([(self.layers.index(layer[k]), s.numel()) for k, s in dial.shapes.items()]).T
            for name, dial in self.dials.items()
        }
        self.original = self._score(model)
        self.gold = None if gold is None else self._score(gold)

    def alpha(self, scale: float, estimator: str | None = None) -> float:
        r""":math:`\alpha = \alpha' N / N_f`. At the ceiling :math:`\alpha' = 1` of per-sample importances it
        is 1 + 1e-5 of that: rounding in float32 would decide about weights that serve D_f alone."""
        name = self._known(estimator)
        return scale * self.unit[name] * (1 + 1e-5 if scale == 1 and self.exact[name] else 1)

    def read(self, alpha: float, lam: float = 1.0, estimator: str | None = None) -> Reading:
        """Dampens and measures: one forward pass. estimator: a name in ``importances`` (default: its first).

        Raises ``ValueError`` for another estimator, alpha <= 0 or lam < 0.
        """
        name = self._known(estimator)
        dial = self.dials[name]
        score, at = self._score(dial.at(alpha, lam)), dial.chosen(alpha)
        by = factor(dial.forget[at], dial.full[at], alpha, lam).cpu().double()
        row, sizes = self._rows[name]
        ends = torch.searchsorted(at.cpu(), sizes.cumsum(0))  # ``at`` is sorted: parameter by parameter
        counts = ends.diff(prepend=ends.new_zeros(1))
        sums = torch.cat([by.new_zeros(1), by.cumsum(0)])[ends].diff(prepend=by.new_zeros(1))
        n, size, total = (torch.bincount(row, v.double(), len(self.layers)) for v in (counts, sizes, sums))
        scale, selected = alpha / self.unit[name], len(at) / int(sizes.sum())
        share, mean = (n / size).tolist(), (total / n).tolist()
        return Reading(name, alpha, scale, lam, selected, share, mean, score)

    def _known(self, estimator: str | None) -> str:
        name = next(iter(self.dials)) if estimator is None else estimator
        if name not in self.dials:
            raise ValueError(f"unknown estimator {name!r}; choose one of {', '.join(self.dials)}")
        return name

    def _score(self, model: nn.Module) -> Score:
        z = logits(model, self.x).cpu()
        if z.shape[1] != len(self.data.classes):
            raise ValueError(
                f"the network has {z.shape[1]} outputs and {self.data.name!r} has {len(self.data.classes)} "
                "classes; pass the data that it was trained on"
            )
        y = self.y.cpu()
        per_group = [percent_correct(z[g.index], y[g.index]) for g in self.groups]
        answers = z[self.samples].argmax(1).tolist()
        return Score(**self._measure(z.to(self.y.device)), groups=per_group, answers=answers)


def _check(data: Dataset, scenario: Scenario, importances: Mapping[str, Pair], gold) -> None:
    check(data, scenario)
    if not importances:
        raise ValueError('there are no importances: pass {"LFSSD": (I(D_f), I(D))}')
    for name, pair in importances.items():
        if not (isinstance(pair, tuple | list) and [*map(type, pair)] == [Importance, Importance]):
            raise ValueError(f"importances[{name!r}] must be a pair (I(D_f), I(D)) of Importance objects")
        if pair[0].samples != len(scenario.forget):
            raise ValueError(
                f"the forget importance of {name!r} is over {pair[0].samples} samples, but the scenario "
                f"forgets {len(scenario.forget)}: compute it on data.train_x[scenario.forget]"
            )
        if pair[1].samples != len(data.train_y):
            raise ValueError(
                f"the full importance of {name!r} is over {pair[1].samples} samples, but D has "
                f"{len(data.train_y)}: compute it on all of data.train_x"
            )
    if gold is not None and not isinstance(gold, nn.Module):
        raise ValueError(f"gold must be one model, got {type(gold).__name__}: pass gold.retrained(...)[0]")
