"""NegGrad+: climb on D_f, descend on D_r, in one step."""

import torch.nn.functional as F
from torch import nn

from .loop import cycle, descend, student
from .registry import method
from .task import Task


@method("NegGrad+", ["retain", "labels"], trains=True, source="RUM and Unlearn-Saliency code")
def neggrad_plus(
    model: nn.Module, task: Task, *, epochs: int = 5, lr: float = 0.01, beta: float = 0.95
) -> nn.Module:
    r"""Minimise :math:`\beta\,CE(D_r) - (1 - \beta)\,CE(D_f)`. Published: 5 epochs, SGD 0.01.

    Every batch of D_r is paired with as many samples of D_f, which come round again as needed.
    beta = 0.95 is ours.
    """
    paired = cycle(task.forget_x, len(task.retain_x), task.seed)

    def loss(net, x, y, x_f, y_f):
        return beta * F.cross_entropy(net(x), y) - (1 - beta) * F.cross_entropy(net(x_f), y_f)

    columns = (task.retain_x, task.retain_y, task.forget_x[paired], task.forget_y[paired])
    return descend(
        student(model), loss, columns,
        epochs=epochs, lr=lr, seed=task.seed, augmentation=task.augmentation,
    )  # fmt: skip
