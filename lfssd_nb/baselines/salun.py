"""SalUn: random labels, but only the weights that the forget set's loss depends on may move."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..precision import differentiating
from .loop import descend, n_outputs, student
from .random_labels import wrong_labels
from .registry import method
from .task import Task


def saliency_mask(model: nn.Module, x: Tensor, y: Tensor, share: float) -> dict[str, Tensor]:
    r"""1 for the ``share`` of weights with the largest :math:`|\partial\,CE(D_f) / \partial\theta|`, else 0.

    Exactly ``round(share * n)`` weights are chosen; ties (zero gradients) go by position.
    """
    net = student(model)
    with differentiating(net):
        for part, labels in zip(x.split(256), y.split(256), strict=True):
            (F.cross_entropy(net(part), labels) * (len(part) / len(x))).backward()
    grads = {k: torch.zeros_like(p) if p.grad is None else p.grad.abs() for k, p in net.named_parameters()}
    flat = torch.cat([g.flatten() for g in grads.values()])
    mask = torch.zeros_like(flat)
    mask[flat.argsort(descending=True, stable=True)[: round(share * len(flat))]] = 1
    parts = mask.split([g.numel() for g in grads.values()])
    return {k: part.view_as(g) for (k, g), part in zip(grads.items(), parts, strict=True)}


@method("SalUn", ["retain", "labels"], trains=True, source="Fan et al. 2023 (2310.12508)")
def salun(
    model: nn.Module, task: Task, *, epochs: int = 10, lr: float = 0.1, share: float = 0.5
) -> nn.Module:
    """Random labels on D_f and the true ones on D_r, gradients outside the mask set to 0. Published: top
    50 %, SGD 0.1, 10 epochs."""
    mask = saliency_mask(model, task.forget_x, task.forget_y, share)
    wrong = wrong_labels(task.forget_y, n_outputs(model, task.forget_x), task.seed)
    columns = (torch.cat([task.retain_x, task.forget_x]), torch.cat([task.retain_y, wrong]))
    return descend(
        student(model), lambda net, x, y: F.cross_entropy(net(x), y), columns,
        epochs=epochs, lr=lr, seed=task.seed, augmentation=task.augmentation, masks=mask,
    )  # fmt: skip
