"""One table of methods, one signature: ``METHODS[name](model, task, **settings)`` returns a new model."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from ..data.dataset import Dataset
from ..data.scenarios import KINDS, Scenario
from ..networks.forward import not_finite
from ..parameters import copy_of
from ..system.named import built_in, check_free, unknown
from .settings import check_values
from .task import NEEDS, Task


@dataclass(frozen=True)
class Method:
    """An unlearning method as data. ``needs``: see `task.NEEDS`; ``trains``: whether it takes gradient
    steps; ``kinds``: the scenarios it is defined for; ``noise``: whether it adds noise to inputs, which
    tokens do not bear; ``defaults``: its settings; ``version``: raised whenever the same settings come to
    another network than before, so that old records are not taken for new (`lab.cases.Run.key`)."""

    name: str
    label: str
    run: Callable[..., nn.Module]
    needs: frozenset[str]
    trains: bool
    kinds: tuple[str, ...]
    source: str
    noise: bool
    defaults: MappingProxyType
    version: int = 1

    def __call__(self, model: nn.Module, task: Task, **settings) -> nn.Module:
        """Runs on what it needs and nothing else; ``model`` is not changed, the new one is in eval mode.

        Raises ``ValueError`` for a setting that it does not have or that cannot be, and for a need that the
        task cannot meet; ``FloatingPointError`` when the new weights are not finite.
        """
        self.check(settings)
        if self.noise and not task.forget_x.is_floating_point():
            raise ValueError(
                f"{self.name} adds noise to its inputs, and these are tokens ({task.forget_x.dtype}): choose "
                "another method for them"
            )
        given = model if built_in(self.run) else copy_of(model)  # the original stays what it is
        new = self.run(given, task.only(self.needs, self.name), **(self.defaults | settings))
        if not isinstance(new, nn.Module):
            raise ValueError(f"{self.name} must return the new model, got {type(new).__name__}")
        if broken := not_finite(new) and not_finite(new, not_finite(model)):
            raise FloatingPointError(
                f"{self.name} leaves {broken[0]!r} not finite: lower lr or take fewer epochs "
                f"(settings: {dict(self.defaults | settings)})"
            )
        return new.eval()

    def check(self, settings: Mapping[str, object]) -> None:
        """Raises ``ValueError`` for a setting that it does not have, or that cannot be."""
        if odd := sorted(set(settings) - self.defaults.keys()):
            known = ", ".join(self.defaults) or "none"
            raise ValueError(f"{self.name} has no setting {', '.join(odd)}; its settings: {known}")
        if built_in(self.run):
            check_values(self.name, settings, self.defaults)

    def fits(self, data: Dataset, scenario: Scenario) -> bool:
        """Whether it is defined for such a scenario and such samples."""
        return scenario.kind in self.kinds and not (self.noise and not data.train_x.is_floating_point())


METHODS: dict[str, Method] = {}


def method(
    label: str,
    needs: Iterable[str] = (),
    *,
    trains: bool = False,
    kinds: tuple = KINDS,
    source: str = "",
    noise: bool = False,
    version: int = 1,
):
    """Registers ``run(model, task, *, setting=default, ...)`` under its function name."""

    def register(run: Callable) -> Callable:
        name, wanted = run.__name__, frozenset(needs)
        if not wanted <= NEEDS.keys():
            raise ValueError(f"{name}: unknown needs {sorted(wanted - NEEDS.keys())}; known: {list(NEEDS)}")
        check_free(name, getattr(METHODS.get(name), "run", None), run, "method")
        settings = inspect.signature(run).parameters.values()
        if bare := [p.name for p in settings if p.kind is p.KEYWORD_ONLY and p.default is p.empty]:
            raise ValueError(f"{name}: the setting {bare[0]!r} needs a default")
        defaults = {p.name: p.default for p in settings if p.kind is p.KEYWORD_ONLY}
        METHODS[name] = Method(
            name, label, run, wanted, trains, kinds, source, noise, MappingProxyType(defaults), version
        )
        return run

    return register


def get(name: str) -> Method:
    """The method of that name. Raises ``ValueError`` listing the known ones."""
    if name not in METHODS:
        raise ValueError(unknown("method", name, METHODS))
    return METHODS[name]
