"""l1-sparse: fine-tune on D_r while small weights are pushed to zero, the forgotten ones among them."""

import torch.nn.functional as F
from torch import nn

from .loop import OPTIMIZERS, descend, student
from .registry import method
from .task import Task


@method("l1-sparse", ["retain", "labels"], trains=True, source="Jia et al. 2023 (2304.04934)", version=2)
def l1_sparse(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.01,
    gamma: float = 5e-4,
    batch_size: int = 256,
    weight_decay: float = 5e-4,
) -> nn.Module:
    r"""Minimise :math:`CE + \gamma_t \|\theta\|_1` over D_r, :math:`\gamma_t` falling linearly from gamma
    to 0 over the epochs.

    Settings: the authors' code (Unlearn-Sparse): 10 epochs of SGD at 0.01, momentum 0.9 kept from epoch to
    epoch, weight decay 5e-4, batches of 256, the augmentation of the training. It names no gamma (its
    default of 0.2 is that of another method); ours is 5e-4. **Deviation:** a last batch of one sample is left
    out.
    """
    new = student(model)
    update = OPTIMIZERS["sgd"](new.parameters(), lr)
    for epoch in range(epochs):
        now = gamma * (1 - epoch / epochs)

        def loss(net, x, y, now=now):
            norm = sum(p.abs().sum() for p in net.parameters())
            return F.cross_entropy(net(x), y) + now * norm

        descend(
            new, loss, (task.retain_x, task.retain_y),
            epochs=1, lr=lr, seed=task.seed + epoch, optimizer=update, batch_size=batch_size,
            weight_decay=weight_decay, augmentation=task.augmentation,
        )  # fmt: skip
    return new
