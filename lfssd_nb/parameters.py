"""Which parameters an importance is about, and dampening may change: all trainable ones, or some."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import nn

Filter = str | Iterable[str] | Callable[[str], bool]


def chosen(model: nn.Module, parameters: Filter | None = None) -> dict[str, nn.Parameter]:
    """The trainable parameters by name, in the model's order; of these, those that ``parameters`` names.

    parameters: a name or shell-style pattern (``"fc.*"``, ``"*lora_*"``), several of them, or a predicate
    on the name; None takes all. A parameter with two names (tied weights) is known by its first, as in
    ``model.named_parameters()``.

    Raises ``ValueError`` if nothing is trainable, if a pattern matches no trainable parameter (it names
    the pattern and some of the names), and if a predicate accepts none.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise ValueError(
            "the model has no trainable parameter: set requires_grad=True on what may be dampened"
        )
    if parameters is None:
        return trainable
    some = ", ".join(list(trainable)[:: max(1, len(trainable) // 5)][:6])
    if callable(parameters):
        found = {name for name in trainable if parameters(name)}
        if not found:
            raise ValueError(f"the predicate accepts none of the {len(trainable)} parameters ({some}, ...)")
    else:
        patterns = [parameters] if isinstance(parameters, str) else list(parameters)
        found = set()
        for pattern in patterns:
            matches = {name for name in trainable if fnmatchcase(name, pattern)}
            if not matches:
                raise ValueError(
                    f"the pattern {pattern!r} matches none of the {len(trainable)} trainable parameters; "
                    f"some of their names: {some}"
                )
            found |= matches
        if not patterns:
            raise ValueError(f"the list of patterns is empty; None takes all parameters, some are: {some}")
    return {name: p for name, p in trainable.items() if name in found}


@contextmanager
def only(model: nn.Module, parameters: Filter | None = None) -> Iterator[dict[str, nn.Parameter]]:
    """Freezes all but `chosen` for the length of a ``with`` block: a backward pass then ends at the first
    layer that is left, and the layers before it keep no activations."""
    kept = chosen(model, parameters)
    frozen = [p for name, p in model.named_parameters() if p.requires_grad and name not in kept]
    try:
        for p in frozen:
            p.requires_grad_(False)
        yield kept
    finally:
        for p in frozen:
            p.requires_grad_(True)
