"""NegGrad+: climb on D_f, descend on D_r, in one step."""

import torch.nn.functional as F
from torch import nn

from .loop import cycle, descend, student
from .registry import method
from .task import Task


@method("NegGrad+", ["retain", "labels"], trains=True, source="Kurmanji et al. 2023 (2302.09880)", version=2)
def neggrad_plus(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 5,
    lr: float = 0.01,
    beta: float = 0.95,
    batch_size: int = 256,
    weight_decay: float = 5e-4,
) -> nn.Module:
    r"""Minimise :math:`\beta\,CE(D_r) - (1 - \beta)\,CE(D_f)`.

    Settings: RUM: 5 epochs of SGD at 0.01, momentum 0.9, weight decay 5e-4, batches of 256, the augmentation
    of the training. beta: the code of SCRUB, whose notebooks take 0.95 (small) and 0.9999 (large scale); RUM
    takes 0.97 and 0.99 in its pipelines.

    **Deviations.** Both codes go through batches of D_f, round and round: where D_f is smaller than a batch,
    a step sees it once. Here a batch of D_r is paired with as many samples of D_f, each equally often up to
    one: the same gradient in the mean. Here images of D_r alone are augmented, in RUM those of D_f too. A
    last batch of one sample is left out.
    """
    paired = cycle(task.forget_x, len(task.retain_x), task.seed)

    def loss(net, x, y, x_f, y_f):
        return beta * F.cross_entropy(net(x), y) - (1 - beta) * F.cross_entropy(net(x_f), y_f)

    columns = (task.retain_x, task.retain_y, task.forget_x[paired], task.forget_y[paired])
    return descend(
        student(model), loss, columns,
        epochs=epochs, lr=lr, seed=task.seed, batch_size=batch_size, weight_decay=weight_decay,
        augmentation=task.augmentation,
    )  # fmt: skip
