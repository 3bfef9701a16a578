"""Gold models: retrained from scratch on the retain set, the yardstick of forgetting."""

from collections.abc import Iterable

from torch import nn

from .data import Dataset
from .models import Architecture
from .scenarios import Scenario
from .training import Recipe, trained


def retrained(
    data: Dataset,
    scenario: Scenario,
    architecture: Architecture,
    recipe: Recipe | None = None,
    seeds: Iterable[int] = (0,),
    show: bool = True,
) -> list[nn.Module]:
    """One model per seed, trained on D_r = D without D_f with the *identical* recipe, cached.

    Every weight starts anew. With the original's seed that is the original's own first draw, so that
    the two differ by their data alone; other seeds show how far training runs differ anyway. (The
    published code's ``retrain`` resets only the layers that are direct children of the network, so that
    most of the original survives in its gold.)
    """
    return [trained(data, architecture, recipe, seed, scenario.retain, show) for seed in seeds]
