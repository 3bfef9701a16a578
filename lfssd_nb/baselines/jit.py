"""JiT: smooth the network around the forget set; needs nothing but the images of D_f."""

import torch
from torch import Tensor, nn

from .loop import descend, student
from .registry import method
from .task import Task


def lipschitz_ratio(net: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    r"""Mean of :math:`\|f(x) - f(x + e)\|_2 / \|e\|_2`."""
    apart = (net(x) - net(x + noise)).norm(dim=1)
    return (apart / noise.flatten(1).norm(dim=1)).mean()


@method("JiT", [], trains=True, noise=True, source="Foster et al. 2024 (2402.01401)")
def jit(
    model: nn.Module, task: Task, *, epochs: int = 1, lr: float = 0.01, sigma: float = 0.5, draws: int = 4
) -> nn.Module:
    r"""Minimise :math:`\operatorname{mean}_{x \in D_f} E_e \|f(x) - f(x+e)\| / \|e\|` over all weights,
    :math:`e \sim N(0, \sigma^2)`, batch norm in train mode. sigma, draws and the learning rate are ours."""
    generator = torch.Generator().manual_seed(task.seed)

    def loss(net, x):
        noise = [sigma * torch.randn(x.shape, generator=generator).to(x) for _ in range(draws)]
        return sum(lipschitz_ratio(net, x, e) for e in noise) / draws

    return descend(student(model), loss, (task.forget_x,), epochs=epochs, lr=lr, seed=task.seed)
