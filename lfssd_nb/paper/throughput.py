"""How fast this device trains a network, beside the floor: nothing but its forward and backward passes."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from ..data.dataset import Dataset
from ..networks.architecture import Architecture, build
from ..networks.recipes import Recipe
from ..networks.training import fit, memory_format
from ..system.device import autocast
from ..system.stopwatch import now


def training_rate(
    data: Dataset, architecture: Architecture, recipe: Recipe, batches: int | None = None
) -> tuple[float, float]:
    """Images a second of `training.fit` as it is, augmentation, loss, optimizer and all; and the seconds
    that the first steps took more than that, which choose kernels and compile."""
    x, y = _few(data, recipe, batches)
    model, one = build(architecture, data), replace(recipe, epochs=1)
    times = [now(data.device)]
    for _ in range(2):
        fit(model, x, y, one, 0, show=False)
        times.append(now(data.device))
    first, second = times[1] - times[0], times[2] - times[1]
    return len(x) / second, first - second


def floor_rate(
    data: Dataset, architecture: Architecture, recipe: Recipe, batches: int | None = None
) -> float:
    """Images a second of forward and backward passes in the recipe's number format and memory layout, on
    batches that lie ready: no training in this format is faster without compiling."""
    x, y = _few(data, recipe, batches)
    model = build(architecture, data).train()
    layout = memory_format(model)
    model.to(memory_format=layout)
    parts = [part.contiguous(memory_format=layout) for part in x.split(recipe.batch_size)]
    labels = y.split(recipe.batch_size)

    def once() -> None:
        for part, label in zip(parts, labels, strict=True):
            with autocast(x.device, recipe.bfloat16):
                z = model(part)
            F.cross_entropy(z.float(), label).backward()

    once()
    start = now(data.device)
    once()
    return len(x) / (now(data.device) - start)


def _few(data: Dataset, recipe: Recipe, batches: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """``batches``: by default 3 on a CPU, and 60 where three take a few hundredths of a second."""
    batches = batches or (3 if data.device.type == "cpu" else 60)
    n = min(len(data.train_x), batches * recipe.batch_size)
    return data.train_x[:n], data.train_y[:n]
