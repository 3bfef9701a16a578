"""What an unlearning method may be given, and only what it says that it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from ..data.augment import Augmentation
from ..data.dataset import Dataset
from ..data.orders import class_order, reference_order
from ..data.scenarios import Scenario, check
from ..networks.architecture import Build, build
from ..networks.gold import retrained
from ..networks.recipes import Recipe, default_recipe
from .importance_memory import Memory

NONE = Augmentation()
NEEDS = {
    "full": "the inputs of all of D, D_f included",
    "retain": "the inputs of the retain set D_r",
    "labels": "the labels of the inputs that it reads",
    "target": "the number of the class to forget",
    "fresh": "untrained networks of the same architecture",
    "recipe": "the recipe that trained the model, and the time to run it",
}
HELD = {  # field of a Task: the needs that open it
    "forget_y": {"labels"}, "retain_x": {"retain"}, "retain_y": {"retain", "labels"}, "full_x": {"full"},
    "full_y": {"full", "labels"}, "target": {"target"}, "fresh": {"fresh"}, "retrain": {"recipe"},
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One unlearning problem as a method sees it. What is None is not available.

    ``forget_x`` ``[N_f, ...]`` is always there. ``full_x`` is D in the order that batch-mean
    importances see: `orders.class_order`; ``full_x[reference]`` is D in `orders.reference_order`,
    D_f at its end.
    ``fresh(seed)`` builds an untrained network, ``retrain()`` a gold model. ``seed`` fixes whatever
    a method draws. ``memory`` keeps I(D) for the next method; tasks on one model and one order of D may
    share it.
    """

    forget_x: Tensor
    forget_y: Tensor | None = None
    retain_x: Tensor | None = None
    retain_y: Tensor | None = None
    full_x: Tensor | None = None
    full_y: Tensor | None = None
    reference: Tensor | None = None
    target: int | None = None
    fresh: Callable[[int], nn.Module] | None = None
    retrain: Callable[[], nn.Module] | None = None
    augmentation: Augmentation = NONE
    seed: int = 0
    memory: Memory = field(default_factory=Memory)

    def only(self, needs: frozenset[str], method: str) -> "Task":
        """The same task without what is not in ``needs``, so that a method cannot read more.

        Raises ``ValueError`` naming what is needed and missing.
        """
        for name, wanted in HELD.items():
            if wanted <= needs and getattr(self, name) is None:
                missing = ", and ".join(NEEDS[need] for need in sorted(wanted))
                raise ValueError(
                    f"{method} needs {missing}; the task has no {name}: pass it to Task, or choose a "
                    "method that does without (METHODS[name].needs)"
                )
        return replace(self, **{name: None for name, wanted in HELD.items() if not wanted <= needs})


def make(
    data: Dataset,
    scenario: Scenario,
    architecture: Build,
    recipe: Recipe | None = None,
    seed: int = 0,
    memory: Memory | None = None,
) -> Task:
    """The task with everything in it, for a data set and a scenario."""
    check(data, scenario)
    recipe = recipe or default_recipe(data, architecture)
    order = class_order(data, scenario)
    x, y = data.train_x, data.train_y
    return Task(
        x[scenario.forget], y[scenario.forget], x[scenario.retain], y[scenario.retain], x[order], y[order],
        reference=order.argsort()[reference_order(data, scenario, seed)],
        target=data.classes.index(scenario.target) if scenario.kind == "class" else None,
        fresh=lambda seed: build(architecture, data, seed, pretrained=False),
        retrain=lambda: retrained(data, scenario, architecture, recipe, [seed], show=False)[0],
        augmentation=recipe.augmentation,
        seed=seed,
        memory=memory or Memory(),
    )  # fmt: skip
