"""l1-sparse: fine-tune on D_r while small weights are pushed to zero, the forgotten ones among them."""

import torch.nn.functional as F
from torch import nn

from .loop import descend, student
from .registry import method
from .task import Task


@method("l1-sparse", ["retain", "labels"], trains=True, source="Jia et al. 2023 (2304.04934)")
def l1_sparse(
    model: nn.Module, task: Task, *, epochs: int = 10, lr: float = 0.01, gamma: float = 5e-4
) -> nn.Module:
    r"""Minimise :math:`CE + \gamma_t \|\theta\|_1` over D_r, :math:`\gamma_t` falling linearly from gamma
    to 0 over the epochs. Published: 10 epochs, SGD 0.01; gamma is ours."""
    new = student(model)
    for epoch in range(epochs):
        now = gamma * (1 - epoch / epochs)

        def loss(net, x, y, now=now):
            norm = sum(p.abs().sum() for p in net.parameters())
            return F.cross_entropy(net(x), y) + now * norm

        descend(
            new, loss, (task.retain_x, task.retain_y),
            epochs=1, lr=lr, seed=task.seed + epoch, augmentation=task.augmentation,
        )  # fmt: skip
    return new
