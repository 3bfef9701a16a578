"""Controls: what doing nothing, and damaging equally many weights at random, look like."""

import torch
from torch import nn

from ..dampening import factor
from ..importance import sensitivity
from ..unlearn import lfssd as dampened
from .loop import student
from .registry import method
from .task import Task


@method("nothing")
def nothing(model: nn.Module, task: Task) -> nn.Module:
    """The original. Whatever a metric says about it is the metric's zero."""
    return student(model)


@method("random weights", ["full"])
def random_weights(
    model: nn.Module, task: Task, *, alpha: float | None = None, lam: float = 1.0
) -> nn.Module:
    """LFSSD's factors, dealt out to the wrong weights: equally many, equally strong, at random.

    If this forgets as well as LFSSD does, the choice of weights explains nothing.
    """
    full = task.memory.importance(sensitivity, model, task.full_x, reduction="sample", batch_size=128)
    done = dampened(model, task.forget_x, full, alpha, lam)
    i_f, i_d = done.forget.mean, done.full.mean
    factors = torch.cat([factor(i_f[k], i_d[k], done.alpha, lam).flatten() for k in i_f])
    generator = torch.Generator().manual_seed(task.seed)
    factors = factors[torch.randperm(len(factors), generator=generator).to(factors.device)]
    new = student(model)
    with torch.no_grad():
        parameters = dict(new.named_parameters())
        for name, part in zip(i_f, factors.split([v.numel() for v in i_f.values()]), strict=True):
            parameters[name].mul_(part.view_as(parameters[name]))
    return new
