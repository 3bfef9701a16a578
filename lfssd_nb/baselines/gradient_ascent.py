"""Gradient ascent: climb the loss of what is to be forgotten."""

import torch.nn.functional as F
from torch import nn

from .loop import descend, student
from .registry import method
from .task import Task


@method("gradient ascent", ["labels"], trains=True, source="RUM and Unlearn-Saliency code", version=2)
def gradient_ascent(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 5,
    lr: float = 1e-4,
    batch_size: int = 256,
    weight_decay: float = 5e-4,
) -> nn.Module:
    r"""Maximise :math:`CE(f(x), y)` over D_f.

    Settings: RUM and Unlearn-Sparse: 5 epochs of SGD at 1e-4, momentum 0.9, weight decay 5e-4, batches of
    256, a constant learning rate (their steps at epochs 91 and 136 are never reached), the augmentation of
    the training. **Deviation:** a last batch of one sample is left out.

    Nothing holds the retained classes in place, and the loss has no upper bound: a little too long,
    and the network is gone.
    """
    return descend(
        student(model), lambda net, x, y: -F.cross_entropy(net(x), y), (task.forget_x, task.forget_y),
        epochs=epochs, lr=lr, seed=task.seed, batch_size=batch_size, weight_decay=weight_decay,
        augmentation=task.augmentation,
    )  # fmt: skip
