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


@method("Bad Teacher", ["retain", "fresh"], trains=True, source="Chundawat et al. 2023 (2205.08096)")
def bad_teacher(
    model: nn.Module, task: Task, *, epochs: int = 1, lr: float = 1e-4, share: float = 0.3
) -> nn.Module:
    """Follow a random network on D_f and the original on a share of D_r. Published: 1 epoch, Adam 1e-4,
    30 % of D_r. Both teachers are in eval mode (the reference leaves the random one in train mode)."""
    good, bad = copy_in_eval(model), task.fresh(task.seed + 1).eval().requires_grad_(False)
    kept = task.retain_x[cycle(task.retain_x, max(1, round(share * len(task.retain_x))), task.seed)]
    wanted = torch.cat([logits(net, x, batch_size=2048) for net, x in ((good, kept), (bad, task.forget_x))])
    return descend(
        student(model), lambda net, x, z: distillation(net(x), z), (torch.cat([kept, task.forget_x]), wanted),
        epochs=epochs, lr=lr, seed=task.seed, optimizer="adam",
    )  # fmt: skip
