"""Gradient ascent: climb the loss of what is to be forgotten."""

import torch.nn.functional as F
from torch import nn

from .loop import descend, student
from .registry import method
from .task import Task


@method("gradient ascent", ["labels"], trains=True, source="RUM and Unlearn-Saliency code")
def gradient_ascent(model: nn.Module, task: Task, *, epochs: int = 5, lr: float = 1e-4) -> nn.Module:
    r"""Maximise :math:`CE(f(x), y)` over D_f. Published setting: 5 epochs, SGD 1e-4.

    Nothing holds the retained classes in place, and the loss has no upper bound: a little too long,
    and the network is gone.
    """
    return descend(
        student(model), lambda net, x, y: -F.cross_entropy(net(x), y), (task.forget_x, task.forget_y),
        epochs=epochs, lr=lr, seed=task.seed, augmentation=task.augmentation,
    )  # fmt: skip
