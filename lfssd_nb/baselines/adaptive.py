"""ASSD and XALFSSD: SSD and LFSSD that choose alpha themselves, as a percentile of the ratios."""

import math
import sys

import torch
from torch import Tensor, nn

from ..dampening import dampen
from ..importance import fisher, sensitivity
from ..importance_sums import Importance
from ..networks.forward import logits
from .registry import method
from .task import Task


def ratios(forget: Importance, full: Importance) -> Tensor:
    """All I(D_f) / I(D) in one vector, without the weights of which D says nothing (I(D) = 0)."""
    i_f, i_d = forget.mean, full.mean
    f, d = (torch.cat([i[name].flatten() for name in i_f]) for i in (i_f, i_d))
    return f[d > 0] / d[d > 0]


def percentile_size(n_forget: int, n_full: int) -> float:
    r"""ASSD's share of weights to dampen, in percent: :math:`100 - p = \ln(1 + 100 N_f / N)`."""
    return math.log(1 + 100 * n_forget / n_full)


def alpha_at(ratio: Tensor, size: float) -> float:
    """The alpha that selects the ``size`` percent largest ratios (0 < size <= 100), those of 0 never."""
    kept = min(len(ratio), max(1, round(len(ratio) * (1 - size / 100))))
    return max(float(ratio.kthvalue(kept).values), sys.float_info.min)


@method("ASSD", ["full", "labels"], source="Schoepf et al. 2024 (2402.10098)")
def assd(model: nn.Module, task: Task, *, lam: float = 1.0, batch_size: int = 128) -> nn.Module:
    r"""SSD with :math:`\alpha` = percentile :math:`100 - \ln(1 + 100 N_f/N)` of the ratios; per sample."""
    how = dict(reduction="sample", batch_size=batch_size)
    i_f = fisher(model, task.forget_x, task.forget_y, **how)
    i_d = task.memory.importance(fisher, model, task.full_x, task.full_y, **how)
    alpha = alpha_at(ratios(i_f, i_d), percentile_size(i_f.samples, i_d.samples))
    return dampen(model, i_f, i_d, alpha, lam)[0]


@method("XALFSSD", ["full"], source="adaptive, label-free: Potion (2406.09173)")
def xalfssd(
    model: nn.Module,
    task: Task,
    *,
    rho: float = 0.5,
    growth: float = 1.1,
    lam: float = 1.0,
    batch_size: int = 128,
) -> nn.Module:
    r"""Sensitivity of the *unsquared* norm :math:`\|f\|_2`; the dampened share starts at ASSD's and grows by
    the factor ``growth`` until the accuracy on D_f has fallen to ``rho`` of the original's.

    "Accuracy" is agreement with the original's own answers here, so that the method stays label-free;
    rho is ours. Stops when a larger share would change nothing more.
    """
    how = dict(squared=False, reduction="sample", batch_size=batch_size)
    i_f = sensitivity(model, task.forget_x, **how)
    i_d = task.memory.importance(sensitivity, model, task.full_x, **how)
    ratio, size = ratios(i_f, i_d), percentile_size(i_f.samples, i_d.samples)
    answers = logits(model, task.forget_x).argmax(1)
    last = max(lam, alpha_at(ratio, 100))  # ratios below lam are not dampened: the factor is 1
    while True:
        alpha = max(alpha_at(ratio, min(size, 100)), last)
        new = dampen(model, i_f, i_d, alpha, lam)[0]
        agree = int((logits(new, task.forget_x).argmax(1) == answers).sum()) / len(answers)
        if agree <= rho or alpha == last:
            return new
        size *= growth
