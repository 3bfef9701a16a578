"""SalUn: random labels, but only the weights that the forget set's loss depends on may move."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..precision import differentiating
from .loop import OPTIMIZERS, descend, n_outputs, student
from .registry import method
from .task import Task


def saliency_mask(model: nn.Module, x: Tensor, y: Tensor, share: float) -> dict[str, Tensor]:
    r"""1 for the ``share`` of weights with the largest :math:`|\partial\,CE(D_f) / \partial\theta|`, else 0.

    The gradient is a sum over batches of 256, each a mean over its samples, in eval mode. Exactly
    ``int(share * n)`` weights are chosen; ties (zero gradients) go by position, in the authors' code as the
    sort leaves them.
    """
    net = student(model)
    with differentiating(net):
        for part, labels in zip(x.split(256), y.split(256), strict=True):
            F.cross_entropy(net(part), labels).backward()
    grads = {k: torch.zeros_like(p) if p.grad is None else p.grad.abs() for k, p in net.named_parameters()}
    flat = torch.cat([g.flatten() for g in grads.values()])
    mask = torch.zeros_like(flat)
    mask[flat.argsort(descending=True, stable=True)[: int(share * len(flat))]] = 1
    parts = mask.split([g.numel() for g in grads.values()])
    return {k: part.view_as(g) for (k, g), part in zip(grads.items(), parts, strict=True)}


@method("SalUn", ["retain", "labels"], trains=True, source="Fan et al. 2023 (2310.12508)", version=2)
def salun(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.1,
    share: float = 0.5,
    batch_size: int = 256,
    weight_decay: float = 5e-4,
) -> nn.Module:
    """CE on D_f with random labels and on D_r with the true ones, gradients outside the mask set to 0. The
    labels are drawn from *all* classes, the right one among them, and drawn anew every epoch.

    Settings: the top 50 %, SGD with momentum 0.9 kept from epoch to epoch, weight decay 5e-4 (of the weights
    in the mask), batches of 256, the augmentation of the training: the authors' code (Unlearn-Saliency, D_f
    and D_r shuffled together: its way with CIFAR-100; with CIFAR-10 a pass over D_f comes before one over
    D_r, with labels drawn batch by batch). 10 epochs at 0.1 are RUM's; the authors' example is 0.013.

    **When the mask does nothing.** A weight has a place in the mask by the rank of its gradient. Where fewer
    weights than ``share`` have any gradient on D_f, all of these are in the mask, the places left go to
    weights with gradient 0, and SalUn is relabelling alone. So it is on the ResNet18 of the digits: the 3x3
    kernels of its late stages see images of one or two pixels, and 26 to 30 % of the weights have one.
    Nothing is done about it here. **Deviation:** a last batch of one sample is left out.
    """
    mask = saliency_mask(model, task.forget_x, task.forget_y, share)
    generator = torch.Generator().manual_seed(task.seed)
    x, classes = torch.cat([task.retain_x, task.forget_x]), n_outputs(model, task.forget_x)
    new = student(model)
    update = OPTIMIZERS["sgd"](new.parameters(), lr)
    for epoch in range(epochs):
        drawn = torch.randint(classes, task.forget_y.shape, generator=generator).to(task.forget_y)
        descend(
            new, lambda net, x, y: F.cross_entropy(net(x), y), (x, torch.cat([task.retain_y, drawn])),
            epochs=1, lr=lr, seed=task.seed + epoch, optimizer=update, batch_size=batch_size,
            weight_decay=weight_decay, augmentation=task.augmentation, masks=mask,
        )  # fmt: skip
    return new
