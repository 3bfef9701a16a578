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


PER_CLASS = 500  # retained samples of a class that it trains on


def first_of_each_class(y: Tensor, n: int) -> Tensor:
    """Positions of the first ``n`` samples of every class, in the order of ``y``."""
    kept = [(y == label).nonzero()[:n, 0] for label in y.unique()]
    return torch.cat(kept).sort().values


@method(
    "UNSIR", ["retain", "labels", "target"], trains=True, kinds=("class",), noise=True,
    source="Tarun et al. 2021 (2111.08947)", version=2,
)  # fmt: skip
def unsir(
    model: nn.Module,
    task: Task,
    *,
    steps: int = 25,
    noise_lr: float = 0.1,
    n_noise: int = 32,
    share: float = 0.05,
    lr: float = 1e-4,
    batch_size: int = 128,
) -> nn.Module:
    """Impair: one epoch on retained samples and noise labelled as the class. Repair: one epoch on the
    retained samples alone.

    Settings: the reference code of SSD: 25 noise steps at 0.1, 32 noise images, Adam at 1e-4, 500 samples of
    each class, batches of 32 to impair and of 128 to repair, images not augmented (the authors' own notebook:
    40 steps, a batch of 256, Adam at 0.02 and 0.01).

    **Deviations.** ``share`` of the impairing epoch is noise. The code means to add 80 batches of noise, but
    counts images by their *channels*: of the 32 only the first three are ever shown, 80 times each, which is
    240 beside the 4,500 of CIFAR-10, a twentieth. Here all 32 are shown, as often as makes a twentieth. The
    noise is learnt against a frozen copy in eval mode: in the code its gradients leak into the first step
    and the network may be in train mode. A last batch of one sample is left out.
    """
    kept = first_of_each_class(task.retain_y, PER_CLASS)
    x, y = task.retain_x[kept], task.retain_y[kept]
    noise = error_maximising_noise(model, task.target, (n_noise, *x.shape[1:]), steps, noise_lr, task.seed)
    noise = noise[cycle(noise, max(n_noise, round(share / (1 - share) * len(x))), task.seed)]
    impair = torch.cat([x, noise]), torch.cat([y, torch.full_like(y[:1], task.target).expand(len(noise))])
    new = student(model)
    for columns, size in ((impair, max(2, n_noise)), ((x, y), batch_size)):
        descend(
            new, lambda net, x, y: F.cross_entropy(net(x), y), columns,
            epochs=1, lr=lr, seed=task.seed, optimizer="adam", batch_size=size,
        )  # fmt: skip
    return new
