"""The one training loop of all methods that take gradient steps."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..data.augment import Augmentation, augment
from ..parameters import copy_of

OPTIMIZERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
    "adam": torch.optim.Adam,
}


def descend(
    model: nn.Module,
    loss: Callable[..., Tensor],
    columns: tuple[Tensor, ...],
    *,
    epochs: float,
    lr: float,
    seed: int,
    optimizer: str | torch.optim.Optimizer = "sgd",
    batch_size: int = 64,
    weight_decay: float = 0.0,
    augmentation: Augmentation | None = None,
    masks: dict[str, Tensor] | None = None,
) -> nn.Module:
    r"""Trains ``model`` in place on ``loss(model, *batch)`` and returns it in eval mode.

    columns: tensors with the samples in dimension 0, the images first. Batches are drawn without
    replacement, anew every epoch; a batch of one sample is left out (batch norm cannot train on it)
    unless it is all there is; then the model stays in eval mode. masks: 0/1 by parameter name;
    gradients are multiplied by them, so that weights masked with 0 stay bit for bit. weight_decay:
    :math:`\lambda\theta` is added to every gradient, before the mask. optimizer: one of `OPTIMIZERS`, or one
    already made for these weights, which goes on with its momentum and takes the new ``lr``.

    Raises ``FloatingPointError`` if the loss stops being finite.
    """
    generator = torch.Generator().manual_seed(seed)
    update = OPTIMIZERS[optimizer](model.parameters(), lr) if isinstance(optimizer, str) else optimizer
    for group in update.param_groups:
        group["lr"] = lr
    alone = len(columns[0]) == 1
    model.train(not alone)
    for _ in range(int(epochs)):
        order = torch.randperm(len(columns[0]), generator=generator).to(columns[0].device)
        for chosen in order.split(batch_size):
            if len(chosen) == 1 and not alone:
                continue
            x, *rest = (column[chosen] for column in columns)
            if augmentation is not None:
                x = augment(x, augmentation, generator)
            value = loss(model, x, *rest)
            if not torch.isfinite(value):
                raise FloatingPointError(f"the loss became {value.item()}: lower lr={lr}")
            update.zero_grad()
            value.backward()
            for name, p in model.named_parameters():
                if p.grad is not None and weight_decay:
                    p.grad.add_(p.detach(), alpha=weight_decay)
                if p.grad is not None and masks:
                    p.grad.mul_(masks[name])
            update.step()
    return model.eval()


def cycle(x: Tensor, n: int, seed: int) -> Tensor:
    """Positions ``[n]`` into x, in random order, each used equally often (up to one)."""
    generator = torch.Generator().manual_seed(seed)
    rounds = -(-n // len(x))
    return torch.cat([torch.randperm(len(x), generator=generator) for _ in range(rounds)])[:n].to(x.device)


def student(model: nn.Module) -> nn.Module:
    """A copy to be trained; the model itself is left alone."""
    return copy_of(model)


def copy_in_eval(model: nn.Module) -> nn.Module:
    """A frozen copy in eval mode: a teacher."""
    return student(model).eval().requires_grad_(False)


def n_outputs(model: nn.Module, x: Tensor) -> int:
    """How many classes the model tells apart."""
    with torch.no_grad():
        return copy_in_eval(model)(x[:1]).shape[1]
