"""UNSIR: noise that the network finds maximally unlike a class takes the class's place."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .loop import copy_in_eval, cycle, descend, student
from .registry import method
from .task import Task


def error_maximising_noise(
    model: nn.Module, target: int, shape: tuple, steps: int, lr: float, seed: int
) -> Tensor:
    r"""Noise e that maximises :math:`CE(f(e), c) - 0.1\,\|e\|^2 / n`. The network is a frozen copy, so that
    none of these gradients reaches its weights (in the reference they leak into the first step)."""
    frozen = copy_in_eval(model)
    device = next(model.parameters()).device
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device).requires_grad_()
    labels = torch.full((shape[0],), target, device=device)
    update = torch.optim.Adam([noise], lr)
    for _ in range(steps):
        loss = -F.cross_entropy(frozen(noise), labels) + 0.1 * noise.square().flatten(1).sum(1).mean()
        update.zero_grad()
        loss.backward()
        update.step()
    return noise.detach()


@method(
    "UNSIR", ["retain", "labels", "target"], trains=True, kinds=("class",), noise=True,
    source="Tarun et al. 2021 (2111.08947)",
)  # fmt: skip
def unsir(
    model: nn.Module,
    task: Task,
    *,
    steps: int = 25,
    noise_lr: float = 0.1,
    n_noise: int = 64,
    lr: float = 1e-4,
) -> nn.Module:
    """Impair: one epoch on D_r and noise labelled as the class. Repair: one epoch on D_r. Published: 25
    noise steps at 0.1, Adam 1e-4. The noise is repeated to make up a tenth of the impairing epoch (ours)."""
    shape = (n_noise, *task.retain_x.shape[1:])
    noise = error_maximising_noise(model, task.target, shape, steps, noise_lr, task.seed)
    noise = noise[cycle(noise, max(n_noise, len(task.retain_x) // 10), task.seed)]
    y = torch.full((len(noise),), task.target, device=noise.device)
    impair = (torch.cat([task.retain_x, noise]), torch.cat([task.retain_y, y]))
    new = student(model)
    for columns in (impair, (task.retain_x, task.retain_y)):
        descend(
            new, lambda net, x, y: F.cross_entropy(net(x), y), columns,
            epochs=1, lr=lr, seed=task.seed, optimizer="adam",
        )  # fmt: skip
    return new
