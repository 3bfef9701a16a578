"""Finetune: train on what is retained and hope that the rest fades."""

import torch.nn.functional as F
from torch import nn

from .loop import descend, student
from .registry import method
from .task import Task


@method("finetune", ["retain", "labels"], trains=True, source="reference code of SSD", version=2)
def finetune(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 5,
    lr: float = 0.02,
    batch_size: int = 64,
    weight_decay: float = 5e-4,
) -> nn.Module:
    r"""Minimise :math:`CE(f(x), y)` over D_r.

    Settings: the reference code of SSD: 5 epochs of SGD at 0.02, momentum 0.9, weight decay 5e-4, a constant
    learning rate, images not augmented, batches of 64 (of 128 for a random forget set there).
    **Deviation:** a last batch of one sample is left out (`loop.descend`).
    """
    return descend(
        student(model), lambda net, x, y: F.cross_entropy(net(x), y), (task.retain_x, task.retain_y),
        epochs=epochs, lr=lr, seed=task.seed, batch_size=batch_size, weight_decay=weight_decay,
    )  # fmt: skip
