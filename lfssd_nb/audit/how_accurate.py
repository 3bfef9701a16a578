"""Accuracies on what is retained and what is forgotten. All are means over samples, in percent."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.forward import check_logits, logits
from .arguments import check_labelled


@dataclass(frozen=True)
class Outputs:
    """One model's logits on all of D and on the test set: what most metrics are made of."""

    train: Tensor
    test: Tensor


def outputs(model: nn.Module | Outputs, data: Dataset) -> Outputs:
    """Two forward passes, or none if they are given: every metric takes a model or its outputs."""
    if isinstance(model, Outputs):
        return model
    return Outputs(logits(model, data.train_x), logits(model, data.test_x))


def percent_correct(z: Tensor, y: Tensor) -> float:
    """Percent of logits ``[N, K]`` whose largest is at ``y`` ``[N]``; NaN for none.

    Raises ``ValueError`` unless there is a label for each row, and `forward.check_logits`' error.
    """
    check_labelled(z, y)
    check_logits(z)
    return 100 * int((z.argmax(1) == y).sum()) / len(y) if len(y) else float("nan")


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Percent of samples whose largest logit is at ``y``; NaN for no samples."""
    return percent_correct(logits(model, x), y) if len(y) or len(x) else float("nan")


def accuracies(model: nn.Module | Outputs, data: Dataset, scenario: Scenario) -> dict[str, float]:
    """``retain_train_acc``, ``forget_train_acc``, ``retain_test_acc``, ``forget_test_acc``.

    In random forgetting no test image belongs to D_f, and ``forget_test_acc`` is NaN.
    """
    check(data, scenario)
    z = outputs(model, data)
    sets = {
        "retain_train_acc": (z.train, data.train_y, scenario.retain),
        "forget_train_acc": (z.train, data.train_y, scenario.forget),
        "retain_test_acc": (z.test, data.test_y, scenario.test_retain),
        "forget_test_acc": (z.test, data.test_y, scenario.test_forget),
    }
    return {name: percent_correct(z[index], y[index]) for name, (z, y, index) in sets.items()}


def accuracy_per_class(model: nn.Module, x: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Percent correct of each class, ``[n_classes]``; NaN for a class without samples."""
    z = logits(model, x)
    check_labelled(z, y)
    hit = y[z.argmax(1) == y].cpu()
    right, all_ = (torch.bincount(labels, minlength=n_classes).double() for labels in (hit, y.cpu()))
    return 100 * right / all_
