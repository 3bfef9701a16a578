"""Bad Teacher: two teachers, a competent one for D_r and a random network for D_f."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.forward import logits
from .loop import copy_in_eval, cycle, descend, student
from .registry import method
from .task import Task


def distillation(z: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    r""":math:`T^2\,KL(\mathrm{softmax}(z_t / T) \,\|\, \mathrm{softmax}(z / T))`, mean over the batch."""
    p, q = (v.div(temperature).log_softmax(1) for v in (teacher, z))
    return temperature**2 * F.kl_div(q, p, reduction="batchmean", log_target=True)


@method(
    "Bad Teacher", ["retain", "fresh"], trains=True, source="Chundawat et al. 2023 (2205.08096)", version=2
)
def bad_teacher(
    model: nn.Module,
    task: Task,
    *,
    epochs: int = 1,
    lr: float = 1e-4,
    share: float = 0.3,
    batch_size: int = 256,
) -> nn.Module:
    r"""Minimise :math:`KL(p_t \| p) / K`, mean over the batch: the teacher t is a random network on D_f and
    the original on a share of D_r.

    Settings: the authors' code, as SSD's reference runs it: 1 epoch of Adam at 1e-4, 30 % of D_r (rounded
    down), batches of 256 (128 for a ViT), temperature 1. The code divides by N K where the paper says N;
    Adam does not see a constant factor but through its epsilon of 1e-8.

    **Deviations.** The teachers' answers are computed once, before the first step, not batch by batch: the
    same numbers, as both are in eval mode (so they are in the code). A last batch of one sample is left out.
    """
    good, bad = copy_in_eval(model), task.fresh(task.seed + 1).eval().requires_grad_(False)
    kept = task.retain_x[cycle(task.retain_x, max(1, int(share * len(task.retain_x))), task.seed)]
    wanted = torch.cat([logits(net, x, batch_size=2048) for net, x in ((good, kept), (bad, task.forget_x))])
    return descend(
        student(model), lambda net, x, z: distillation(net(x), z) / z.shape[1],
        (torch.cat([kept, task.forget_x]), wanted),
        epochs=epochs, lr=lr, seed=task.seed, optimizer="adam", batch_size=batch_size,
    )  # fmt: skip
