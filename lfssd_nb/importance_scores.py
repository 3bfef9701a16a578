"""What is differentiated: one number for each sample, from its logits and sometimes its label."""

import inspect
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .system.code import NotHashable, code_of


def squared_norm(logits: Tensor) -> Tensor:
    return logits.square().sum()


def squared_norm_mean(logits: Tensor) -> Tensor:
    # Written as in the authors' README, so that float32 results agree bit for bit.
    return torch.norm(logits.flatten(1), p="fro", dim=1).pow(2).mean()


def norm(logits: Tensor) -> Tensor:
    return logits.flatten(1).norm(dim=1).sum()


def norm_mean(logits: Tensor) -> Tensor:
    return logits.flatten(1).norm(dim=1).mean()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="sum")


ESTIMATORS = {  # name: (sum over samples, mean over a batch, what is done to a gradient, columns read)
    "sensitivity": (squared_norm, squared_norm_mean, "abs", 1),
    "norm sensitivity": (norm, norm_mean, "abs", 1),
    "fisher": (cross_entropy, F.cross_entropy, "square", 2),
}


def takes_labels(score: Callable) -> bool:
    try:
        parameters = inspect.signature(score).parameters.values()
    except ValueError:  # a built-in that does not say
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD]
    return len(needed) > 1


def own(
    score: Callable[..., Tensor], accumulate: str, with_labels: bool
) -> tuple[Callable, Callable, str, int]:
    """An entry like those of `ESTIMATORS` for a score of your own, which is checked at every call."""

    def each(logits: Tensor, *targets: Tensor) -> Tensor:
        found = score(logits, *targets)
        if not isinstance(found, Tensor) or found.shape != logits.shape[:1]:
            got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"a score is one number a sample, [{len(logits)}]; got {got}: sum over the classes"
            )
        return found

    return (lambda *a: each(*a).sum()), (lambda *a: each(*a).mean()), accumulate, 1 + with_labels


def name_of(score: Callable) -> str:
    """The function's name and a hash of its code: two scores that are called alike must not be compared."""
    try:
        code = code_of(score)[:6]
    except NotHashable:
        code = f"{id(score):x}"
    return f"{getattr(score, '__name__', 'score')} {code}"
