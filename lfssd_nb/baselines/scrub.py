"""SCRUB: a student that leaves the teacher on D_f and comes back to it on D_r, in turns."""

import torch.nn.functional as F
from torch import nn

from ..networks.forward import logits
from .bad_teacher import distillation
from .loop import copy_in_eval, descend, student
from .registry import method
from .task import Task


@method("SCRUB", ["retain", "labels"], trains=True, source="Kurmanji et al. 2023 (2302.09880)")
def scrub(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 5,
    msteps: int = 4,
    lr: float = 5e-3,
    temperature: float = 4.0,
    kl_weight: float = 1.0,
) -> nn.Module:
    r"""Each epoch: maximise :math:`KL(f_0 \| f)` on D_f (the first ``msteps`` epochs only), then minimise
    :math:`CE + w\,KL(f_0 \| f)` on D_r. Published: 5 epochs, 5e-3, msteps 4, T 4; the weight is ours."""
    teacher, new = copy_in_eval(model), student(model)
    z_r, z_f = (logits(teacher, x, batch_size=2048) for x in (task.retain_x, task.forget_x))

    def leave(net, x, z):
        return -distillation(net(x), z, temperature)

    def return_(net, x, y, z):
        out = net(x)
        return F.cross_entropy(out, y) + kl_weight * distillation(out, z, temperature)

    for epoch in range(epochs):
        how = dict(epochs=1, lr=lr, seed=task.seed + epoch)
        if epoch < msteps:
            descend(new, leave, (task.forget_x, z_f), **how)
        descend(new, return_, (task.retain_x, task.retain_y, z_r), **how)
    return new
