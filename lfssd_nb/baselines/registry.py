"""One table of methods, one signature: ``METHODS[name](model, task, **settings)`` returns a new model."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from ..scenarios import KINDS
from .task import NEEDS, Task


@dataclass(frozen=True)
class Method:
    """An unlearning method as data. ``needs``: see `task.NEEDS`; ``trains``: whether it takes gradient
    steps; ``kinds``: the scenarios it is defined for; ``defaults``: its settings."""

    name: str
    label: str
    run: Callable[..., nn.Module]
    needs: frozenset[str]
    trains: bool
    kinds: tuple[str, ...]
    source: str
    defaults: MappingProxyType

    def __call__(self, model: nn.Module, task: Task, **settings) -> nn.Module:
        """Runs on what it needs and nothing else; ``model`` is not changed, the new one is in eval mode.

        Raises ``ValueError`` for an unknown setting, and for a need that the task cannot meet.
        """
        unknown = sorted(settings.keys() - self.defaults.keys())
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise ValueError(f"{self.name} has no setting {', '.join(unknown)}; its settings: {known}")
        return self.run(model, task.only(self.needs, self.name), **(self.defaults | settings)).eval()


METHODS: dict[str, Method] = {}


def method(
    label: str, needs: Iterable[str] = (), *, trains: bool = False, kinds: tuple = KINDS, source: str = ""
):
    """Registers ``run(model, task, *, setting=default, ...)`` under its function name."""

    def register(run: Callable) -> Callable:
        name, wanted = run.__name__, frozenset(needs)
        if not wanted <= NEEDS.keys():
            raise ValueError(f"{name}: unknown needs {sorted(wanted - NEEDS.keys())}; known: {list(NEEDS)}")
        settings = inspect.signature(run).parameters.values()
        defaults = {p.name: p.default for p in settings if p.kind is p.KEYWORD_ONLY}
        METHODS[name] = Method(name, label, run, wanted, trains, kinds, source, MappingProxyType(defaults))
        return run

    return register


def get(name: str) -> Method:
    """The method of that name. Raises ``ValueError`` listing the known ones."""
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name]
