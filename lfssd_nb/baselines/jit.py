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
    :math:`e \sim N(0, \sigma^2)`, batch norm in train mode: the paper's formula. `jit_code` is what its
    authors' code does. Draws, the learning rate, momentum (0.9) and batches of 64 are ours."""
    generator = torch.Generator().manual_seed(task.seed)

    def loss(net, x):
        noise = [sigma * torch.randn(x.shape, generator=generator).to(x) for _ in range(draws)]
        return sum(lipschitz_ratio(net, x, e) for e in noise) / draws

    return descend(student(model), loss, (task.forget_x,), epochs=epochs, lr=lr, seed=task.seed)


def ratio_as_coded(net: nn.Module, x: Tensor, sigma: float, draws: int, generator: torch.Generator) -> Tensor:
    r"""Sum over the batch and mean over the draws of :math:`\|f(x) - \bar f(x')\| / \|x - x'\|`: x' is x + e
    clamped to the batch's smallest and largest value, and the bar stops the gradient."""
    z, total = net(x), 0.0
    for _ in range(draws):
        noisy = (x + sigma * torch.randn(x.shape, generator=generator).to(x)).clamp(x.min(), x.max())
        with torch.no_grad():
            answer = net(noisy)
        total = total + ((z - answer).norm(dim=1) / (x - noisy).flatten(1).norm(dim=1)).sum()
    return total / draws


@method(
    "JiT (authors' code)",
    [],
    trains=True,
    noise=True,
    source="code of 2402.01401 (Zeroshot-Unlearning-At-Scale)",
)
def jit_code(
    model: nn.Module,
    task: Task,
    *,
    lr: float = 3e-4,
    sigma: float = 0.5,
    draws: int = 25,
    batch_size: int = 128,
) -> nn.Module:
    r"""JiT as its authors' code runs it, which is not the minimisation of the paper's formula (`jit`):

    * f(x + e) is computed without gradient: the answer at x is drawn to those around it, while nothing pulls
      these to it; the other half of the formula's gradient is missing;
    * x + e is clamped to the batch's range, so that the noise is not Gaussian, nor of length sigma;
    * the ratios are summed over the batch, not averaged: a batch of 128 takes steps 128 times as long;
    * gradients are never zeroed: step k goes along the sum of the gradients of batches 1 to k (a momentum of
      1), and the k-th batch counts in every later step;
    * one pass over D_f in its order, by SGD without momentum.

    Settings: the code's for classes with its VGG16: 3e-4, sigma 0.5, 25 draws, batches of 128. For its ViT:
    1.5 and 0.8; for random samples sigma 0.01 (VGG16) or 0.5 with 0.1 (ViT); for sub-classes 0.01, and 1.5
    with 0.5. **Deviation:** a batch of one sample goes through the network in eval mode, where batch norm
    cannot train.
    """
    generator = torch.Generator().manual_seed(task.seed)
    new = student(model)
    new.zero_grad()
    update = torch.optim.SGD(new.parameters(), lr)
    for x in task.forget_x.split(batch_size):
        new.train(len(x) > 1)
        ratio_as_coded(new, x, sigma, draws, generator).backward()
        update.step()
    return new
