"""ASSD and XALFSSD: SSD and LFSSD that choose alpha themselves, as a percentile of the ratios.

Each twice: as the paper's formulas say, and as its authors' code does.
"""

import math
import sys

import torch
from torch import Tensor, nn

from ..dampening import dampen
from ..importance import fisher, sensitivity
from ..importance_sums import Importance
from ..networks.forward import logits
from .loop import cycle
from .registry import method
from .task import Task

TRIES = 500  # of Potion's search, at most


def ratios(forget: Importance, full: Importance) -> Tensor:
    """All I(D_f) / I(D) in one vector, without the weights of which D says nothing (I(D) = 0)."""
    i_f, i_d = forget.mean, full.mean
    f, d = (torch.cat([i[name].flatten() for name in i_f]) for i in (i_f, i_d))
    return f[d > 0] / d[d > 0]


def percentile_size(n_forget: float, n_full: float) -> float:
    r"""ASSD's share of weights to dampen, in percent: :math:`100 - p = \ln(1 + 100 N_f / N)`."""
    return math.log(1 + 100 * n_forget / n_full)


def alpha_at(ratio: Tensor, size: float) -> float:
    """The alpha that selects the ``size`` percent largest ratios (0 < size <= 100), those of 0 never."""
    kept = min(len(ratio), max(1, round(len(ratio) * (1 - size / 100))))
    return max(float(ratio.kthvalue(kept).values), sys.float_info.min)


def percentile(ordered: Tensor, size: float) -> float:
    """The 100 - ``size`` percentile of ratios in ascending order, as the authors' code takes it (numpy's):
    between two of them on the line that joins them."""
    at = (len(ordered) - 1) * (1 - size / 100)
    low, high = (float(ordered[k]) for k in (math.floor(at), math.ceil(at)))
    return max(low + (high - low) * (at - math.floor(at)), sys.float_info.min)


def ordered_ratios(forget: Importance, retain: Importance) -> Tensor:
    """All finite I(D_f) / I(D_r), ascending."""
    ratio = ratios(forget, retain)
    return ratio[ratio.isfinite()].sort().values


def factor_as_coded(forget: Tensor, retain: Tensor, alpha: float, lam: float) -> Tensor:
    r"""`dampening.factor` as published: 0 where :math:`I(D_r) = 0 < I(D_f)`, selected at any alpha."""
    return torch.where(forget > retain * alpha, (retain * lam / forget).clamp(max=1.0), 1.0)


@method("ASSD", ["full", "labels"], source="Schoepf et al. 2024 (2402.10098)")
def assd(model: nn.Module, task: Task, *, lam: float = 1.0, batch_size: int = 128) -> nn.Module:
    r"""SSD with :math:`\alpha` = percentile :math:`100 - \ln(1 + 100 N_f/N)` of the ratios, lambda 1: the
    paper's formula, with per-sample importances of D_f and D. `assd_code` is what its authors' code does."""
    how = dict(reduction="sample", batch_size=batch_size)
    i_f = fisher(model, task.forget_x, task.forget_y, **how)
    i_d = task.memory.importance(fisher, model, task.full_x, task.full_y, **how)
    alpha = alpha_at(ratios(i_f, i_d), percentile_size(i_f.samples, i_d.samples))
    return dampen(model, i_f, i_d, alpha, lam)[0]


@method("ASSD (authors' code)", ["retain", "labels"], source="code of 2402.10098")
def assd_code(model: nn.Module, task: Task, *, lam: float = 1.0, batch_size: int = 1024) -> nn.Module:
    r"""ASSD as its authors' notebook runs it: the same percentile, of other ratios.

    * The ratio is :math:`I(D_f) / I(D_r)`: the *retain* loader takes the place of D. It has no ceiling
      N / N_f, and a weight on which D_f alone has an influence has an infinite one.
    * Such weights are left out of the percentile, yet selected, and set to 0: more than the share that the
      formula says may go.
    * Both are batch means, of batches of 1,024 (on the digits: one for D_f, two for D_r), unshuffled.

    Settings: batches of 1,024; lambda 1 as in the paper (the notebook leaves it to a loop, with 0.1 as the
    default). **Deviations:** its bound of the factor from below is unused in the paper and left out; the
    network is in eval mode, where the notebook leaves it in whatever mode it is.
    """
    how = dict(reduction="batch", batch_size=batch_size)
    i_f = fisher(model, task.forget_x, task.forget_y, **how)
    i_r = fisher(model, task.retain_x, task.retain_y, **how)
    size = percentile_size(i_f.samples, i_f.samples + i_r.samples)
    alpha = percentile(ordered_ratios(i_f, i_r), size)
    return dampen(model, i_f.mean, i_r.mean, alpha, lam, rule=factor_as_coded)[0]


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
    rho is ours. Stops when a larger share would change nothing more. Per-sample importances of D_f and D.
    `xalfssd_code` is what the authors' code does.
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


@method("XALFSSD (authors' code)", ["retain", "labels"], source="code of Potion (2406.09173)")
def xalfssd_code(
    model: nn.Module,
    task: Task,
    *,
    rho: float = 0.0,
    growth: float = 1.1,
    lam: float = 1.0,
    batch_size: int = 512,
) -> nn.Module:
    r"""XALFSSD as its authors' code runs it: another start, other steps, another end, other ratios.

    * The share is :math:`\ln(1 + 100 q)` percent, and q, not the share, starts at :math:`N_f / N / 25` and
      grows by ``growth``: from a 25th of ASSD's start, where the logarithm is almost linear, in steps that
      come to a tenth of a percentage point each.
    * The search ends when the accuracy *by the labels* of D_f is at most ``rho`` of the original's, after 500
      tries at the latest: label-free are the importances alone. rho is 0 by default (``--p_cut``): until no
      sample of D_f is recognised.
    * Ratio and dampening are those of `assd_code`: D_r in the place of D, batch means, weights that only D_f
      has an influence on set to 0. The batches of 512 are shuffled.

    **Deviations.** The search also ends when a larger share would change nothing (the percentile has come
    down to lambda), with the network that the 500th try would give. The code reads its images augmented.
    """
    how = dict(squared=False, reduction="batch", batch_size=batch_size)
    i_f, i_r = (
        sensitivity(model, x[cycle(x, len(x), task.seed)], **how) for x in (task.forget_x, task.retain_x)
    )
    ordered, q = ordered_ratios(i_f, i_r), i_f.samples / (i_f.samples + i_r.samples) / 25

    def recognised(net: nn.Module) -> int:
        return int((logits(net, task.forget_x).argmax(1) == task.forget_y).sum())

    enough, new = rho * recognised(model), model
    for _ in range(TRIES):
        alpha = percentile(ordered, min(percentile_size(q, 1), 100))
        new = dampen(model, i_f.mean, i_r.mean, alpha, lam, rule=factor_as_coded)[0]
        if recognised(new) <= enough or alpha <= lam:
            break
        q *= growth
    return new
