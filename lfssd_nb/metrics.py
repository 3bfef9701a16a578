"""Accuracies on what is retained and what is forgotten. All are means over samples, in percent."""

import torch
from torch import Tensor, nn

from .data import Dataset
from .modes import evaluating
from .scenarios import Scenario


@torch.no_grad()
def logits(model: nn.Module, x: Tensor, batch_size: int = 256) -> Tensor:
    """Logits ``[N, n_classes]`` of inputs ``[N, ...]`` in eval mode, on the inputs' device."""
    with evaluating(model):
        return torch.cat([model(part) for part in x.split(batch_size)])


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Percent of samples whose largest logit is at ``y``; NaN for no samples."""
    if not len(y):
        return float("nan")
    return 100 * float((logits(model, x).argmax(1) == y).double().mean())


def accuracies(model: nn.Module, data: Dataset, scenario: Scenario) -> dict[str, float]:
    """``retain_train_acc``, ``forget_train_acc``, ``retain_test_acc``, ``forget_test_acc``.

    In random forgetting no test image belongs to D_f, and ``forget_test_acc`` is NaN.
    """
    sets = {
        "retain_train_acc": (data.train_x, data.train_y, scenario.retain),
        "forget_train_acc": (data.train_x, data.train_y, scenario.forget),
        "retain_test_acc": (data.test_x, data.test_y, scenario.test_retain),
        "forget_test_acc": (data.test_x, data.test_y, scenario.test_forget),
    }
    return {name: accuracy(model, x[index], y[index]) for name, (x, y, index) in sets.items()}


def accuracy_per_class(model: nn.Module, x: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Percent correct of each class, ``[n_classes]``; NaN for a class without samples."""
    hit = (logits(model, x).argmax(1) == y).double()
    right = torch.zeros(n_classes, dtype=torch.float64, device=y.device).index_add_(0, y, hit)
    return (100 * right / torch.bincount(y, minlength=n_classes)).cpu()
