"""Random labels (Amnesiac): teach the network wrong answers about D_f while it rehearses D_r."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .loop import descend, n_outputs, student
from .registry import method
from .task import Task


def wrong_labels(y: Tensor, n_classes: int, seed: int) -> Tensor:
    """For each label another one, uniform over the n_classes - 1 that are wrong."""
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randint(1, n_classes, y.shape, generator=generator).to(y.device)
    return (y + shift) % n_classes


@method(
    "random labels", ["retain", "labels"], trains=True, source="Amnesiac, Graves et al. 2020 (2010.10981)"
)
def random_labels(model: nn.Module, task: Task, *, epochs: int = 3, lr: float = 1e-4) -> nn.Module:
    """CE on D_r with its labels and on D_f with random wrong ones. Published: 3 epochs, Adam 1e-4."""
    wrong = wrong_labels(task.forget_y, n_outputs(model, task.forget_x), task.seed)
    columns = (torch.cat([task.retain_x, task.forget_x]), torch.cat([task.retain_y, wrong]))
    return descend(
        student(model), lambda net, x, y: F.cross_entropy(net(x), y), columns,
        epochs=epochs, lr=lr, seed=task.seed, optimizer="adam", augmentation=task.augmentation,
    )  # fmt: skip
