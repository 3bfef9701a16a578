"""SCRUB: a student that leaves the teacher on D_f and comes back to it on D_r, in turns."""

import torch.nn.functional as F
from torch import nn

from ..networks.forward import logits
from .bad_teacher import distillation
from .loop import OPTIMIZERS, copy_in_eval, descend, student
from .registry import method
from .task import Task


@method("SCRUB", ["retain", "labels"], trains=True, source="Kurmanji et al. 2023 (2302.09880)", version=2)
def scrub(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 5,
    msteps: int = 4,
    lr: float = 5e-3,
    temperature: float = 4.0,
    gamma: float = 0.99,
    kl_weight: float = 0.001,
    batch_size: int = 128,
    forget_batch_size: int = 32,
    weight_decay: float = 5e-4,
    decay_after: int = 3,
    lr_decay: float = 0.1,
) -> nn.Module:
    r"""Each epoch: maximise :math:`KL(f_0 \| f)` on D_f (the first ``msteps`` epochs only), then minimise
    :math:`\gamma\,CE + w\,KL(f_0 \| f)` on D_r; KL at temperature T, times :math:`T^2`.

    Settings: the authors' code (notebook large_scale_unlearning): gamma 0.99, w 0.001, T 4, SGD with momentum
    0.9 that goes on from one half of an epoch to the next, weight decay 5e-4, batches of 128 of D_r and 32 of
    D_f, the learning rate times 0.1 after 3 epochs, images not augmented. There it runs 3 epochs at 5e-4 with
    msteps 2; 5 epochs at 5e-3 with msteps 4 are RUM's. Its small-scale notebook takes gamma 1 and w 0.5.

    **Deviations.** RUM counts epochs from 0, so that its msteps 4 are five rounds on D_f; here they are four,
    as the authors count. The teacher's answers are computed once (it is in eval mode in the code too). A last
    batch of one sample is left out. The authors' averaged weights (``sstart`` 10) never begin, in their runs
    as here.
    """
    teacher, new = copy_in_eval(model), student(model)
    z_r, z_f = (logits(teacher, x, batch_size=2048) for x in (task.retain_x, task.forget_x))
    update = OPTIMIZERS["sgd"](new.parameters(), lr)

    def leave(net, x, z):
        return -distillation(net(x), z, temperature)

    def return_(net, x, y, z):
        out = net(x)
        return gamma * F.cross_entropy(out, y) + kl_weight * distillation(out, z, temperature)

    for epoch in range(epochs):
        now = lr if epoch < decay_after else lr * lr_decay
        how = dict(epochs=1, lr=now, seed=task.seed + epoch, optimizer=update, weight_decay=weight_decay)
        if epoch < msteps:
            descend(new, leave, (task.forget_x, z_f), batch_size=forget_batch_size, **how)
        descend(new, return_, (task.retain_x, task.retain_y, z_r), batch_size=batch_size, **how)
    return new
