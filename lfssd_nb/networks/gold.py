"""Gold models: retrained from scratch on the retain set, the yardstick of forgetting."""

from collections.abc import Iterable

from torch import nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from .architecture import Build
from .recipes import Recipe
from .training import trained


def retrained(
    data: Dataset,
    scenario: Scenario,
    architecture: Build,
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
    check(data, scenario)
    return [trained(data, architecture, recipe, seed, scenario.retain, show) for seed in seeds]
