"""Finetune: train on what is retained and hope that the rest fades."""

import torch.nn.functional as F
from torch import nn

from .loop import descend, student
from .registry import method
from .task import Task


@method("finetune", ["retain", "labels"], trains=True, source="reference code of SSD")
def finetune(model: nn.Module, task: Task, *, epochs: int = 5, lr: float = 0.02) -> nn.Module:
    r"""Minimise :math:`CE(f(x), y)` over D_r. Published setting: 5 epochs, SGD 0.02."""
    return descend(
        student(model), lambda net, x, y: F.cross_entropy(net(x), y), (task.retain_x, task.retain_y),
        epochs=epochs, lr=lr, seed=task.seed, augmentation=task.augmentation,
    )  # fmt: skip
