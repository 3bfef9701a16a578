"""Random labels: teach the network wrong answers about D_f while it rehearses D_r."""

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
    "random labels", ["retain", "labels"], trains=True, version=2,
    source="comparison of Graves et al. 2020 (2010.10981)",
)  # fmt: skip
def random_labels(
    model: nn.Module, task: Task, *, epochs: int = 3, lr: float = 1e-4, batch_size: int = 128
) -> nn.Module:
    """CE on D_r with its labels and on D_f with random wrong ones, drawn once.

    **Not Amnesiac unlearning**, though SSD and others call it so: the Amnesiac unlearning of Graves et al.
    stores the updates of the batches that held D_f, in training, and subtracts them. This relabelling is what
    their repository compares it with, as "unlearning".

    Settings: the reference code of SSD: 3 epochs of Adam at 1e-4, batches of 128, images not augmented (the
    repository of Graves et al.: Adam at 1e-3, batches of 64). **Deviation:** a last batch of one sample is
    left out.
    """
    wrong = wrong_labels(task.forget_y, n_outputs(model, task.forget_x), task.seed)
    columns = (torch.cat([task.retain_x, task.forget_x]), torch.cat([task.retain_y, wrong]))
    return descend(
        student(model), lambda net, x, y: F.cross_entropy(net(x), y), columns,
        epochs=epochs, lr=lr, seed=task.seed, optimizer="adam", batch_size=batch_size,
    )  # fmt: skip
