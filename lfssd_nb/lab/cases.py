"""What an experiment is: a `Case` (one original and one forget set) and a `Run` (a method on it), as data.

Everything that decides a result is in them; `key` makes a name of it, by which records are found again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from torch import nn

from .. import baselines, data
from ..data import scenarios
from ..data.dataset import Dataset
from ..data.downloads import data_root
from ..data.scenarios import Scenario
from ..networks.architecture import NETWORKS, Architecture, Build, describe
from ..networks.gold import retrained
from ..networks.identity import own_network, registered
from ..networks.recipes import Recipe
from ..networks.seeds import training_seed
from ..system.code import NotHashable, code_of
from ..system.named import built_in

ADDED = ("images", "recipe", "device")  # fields of a Case that came after the first records
SCHEMA = 1  # part of every record's name: raise it when a column changes its meaning


@dataclass(frozen=True)
class Case:
    """One original model and one forget set.

    ``data``: a name that `data.load` knows, or a `Dataset` of your own; ``architecture``: an `Architecture`,
    or a function that builds a network of your own.

    ``target``: a class or sub-class, or for random forgetting ``"N"`` or ``"N@draw"``: N samples, drawn
    with the seed ``draw`` whatever the training seed. ``gold_seeds``: the gold models to compare with;
    the one with the case's own seed is left out, so that gold itself is measured by the same stick.
    ``images``: a stratified sample of so many training images (`Dataset.subset`) in place of all;
    ``recipe``: how to train (None: `default_recipe`); ``device``: where to compute.
    """

    data: str | Dataset
    architecture: Build
    kind: str
    target: str
    seed: int
    gold_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    images: int | None = None
    recipe: Recipe | None = None
    device: str = "cpu"

    def __post_init__(self):
        object.__setattr__(self, "target", str(self.target))
        if not set(self.gold_seeds) - {self.seed}:
            raise ValueError(
                f"gold_seeds={self.gold_seeds} leave no gold model but the case's own, {self.seed}"
            )

    def training(self, seed: int) -> tuple:
        """What decides the model of a seed that is trained on all of D."""
        return self.data, self.images, self.architecture, self.recipe, self.device, seed

    @property
    def importances(self) -> tuple:
        """What decides I(D): the model, and the order in which batch means see D."""
        return *self.training(self.seed), self.kind not in scenarios.BY_LABEL

    @property
    def identity(self) -> dict:
        """All that decides a record; a field that was added later counts where it is not at its default."""
        later = {each.name: each.default for each in fields(self) if each.name in ADDED}
        seeds = dict(seed=training_seed(self.seed), gold_seeds=tuple(map(training_seed, self.gold_seeds)))
        mine = shallow(self)
        mine |= dict(recipe=asdict(self.recipe) if self.recipe else None, data=_data(self.data))
        mine["architecture"] = _network(self)
        return {k: v for k, v in (mine | seeds).items() if k not in later or v != later[k]}

    @property
    def columns(self) -> dict:
        """The case in a table."""
        shape = describe(self.architecture)
        return dict(
            data=self.data if isinstance(self.data, str) else self.data.name, architecture=shape["name"],
            width=shape["width"], size=shape["size"], scenario=self.kind, target=self.target,
            seed=training_seed(self.seed),
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One method with settings on a case; ``variant`` names the settings in tables, ``deep`` asks for the
    slow metrics of `all_metrics` too.

    Raises ``ValueError`` for a method that is not registered and a setting that it does not have.
    """

    measured: ClassVar[tuple[str, ...]] = ("method", "tow")  # in every record, see `record_files`

    case: Case
    method: str
    variant: str = "default"
    settings: dict = field(default_factory=dict)
    deep: bool = False

    def __post_init__(self):
        baselines.get(self.method).check(self.settings)

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        mine = shallow(self)
        method = baselines.get(self.method)
        if not built_in(method.run):  # a method of your own is its code
            mine["code"] = code_of(method.run)
        if method.version != 1:  # records of a version 1 keep their names
            mine["version"] = method.version
        return key([SCHEMA, mine | {"case": self.case.identity}])


def shallow(what) -> dict:
    """The fields of a dataclass as they are: `dataclasses.asdict` would copy a data set."""
    return {each.name: getattr(what, each.name) for each in fields(what)}


def key(what: list) -> str:
    """20 hex digits of a hash of something that JSON can hold."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:20]


def every_gold(case: Case) -> tuple[int, ...]:
    """Seeds of the gold models to compare with, and of the case's own, which is measured, too."""
    return case.seed, *case.gold_seeds


def models(
    runs: Sequence, golds: Callable[[Case], Sequence[int]] = every_gold
) -> dict[tuple, tuple[Case, int, bool]]:
    """(case, seed, gold?) of every model that the runs need, by what decides it: each once. ``golds``: the
    seeds of a case's gold models."""
    wanted = {}
    for case in dict.fromkeys(each.case for each in runs):
        wanted[case.training(case.seed), None] = (case, case.seed, False)
        for seed in golds(case):
            wanted[case.training(seed), (case.kind, case.target)] = (case, seed, True)
    return wanted


def _data(of: str | Dataset) -> str:
    """The name; of a data set of your own with a hash of its samples, labels and names."""
    return of if isinstance(of, str) else f"{of.name} {of.digest}"


def _network(case: Case) -> dict:
    """The fields of an `Architecture`; beside them the code of a network that is not the package's."""
    net = case.architecture
    try:
        if isinstance(net, Architecture):
            package = built_in(NETWORKS[net.name].build)
            return asdict(net) | ({} if package else {"code": registered(net.name)})
        d = dataset(case)
        code = code_of(net)
        return describe(net) | dict(zip(("code", "weights"), _own(net, code, d, case.seed), strict=True))
    except NotHashable as error:
        raise ValueError(f"a record needs a network that can be named by a hash: {error}") from error


@lru_cache(8)
def _own(net: Callable, code: str, d: Dataset, seed: int) -> tuple[str, str]:
    """`own_network`, once for code that has not changed."""
    return own_network(net, d, seed)


@lru_cache(4)
def _dataset(name: str, root: Path, images: int | None, device: str) -> Dataset:
    d = data.load(name, root, device)
    return d if images is None else d.subset(images)


def dataset(case: Case) -> Dataset:
    """The data set of a case, loaded once a process."""
    if isinstance(case.data, Dataset):
        d = case.data if case.images is None else case.data.subset(case.images)
        return d if d.device.type == case.device else d.to(case.device)
    return _dataset(case.data, data_root(), case.images, case.device)


def setting(case: Case) -> tuple[Dataset, Scenario]:
    """The data set and the forget set of a case."""
    d = dataset(case)
    if case.kind != "random":  # names may hold an @
        return d, scenarios.make(d, case.kind, case.target)
    target, _, draw = case.target.partition("@")
    return d, scenarios.make(d, "random", target, int(draw or 0))


def other_golds(case: Case, d: Dataset, scenario: Scenario) -> list[nn.Module]:
    """The gold models to compare with: of all ``gold_seeds`` but the case's own."""
    scenarios.check(d, scenario)
    others = [seed for seed in case.gold_seeds if seed != case.seed]
    return retrained(d, scenario, case.architecture, case.recipe, others, show=False)
