"""How far one model's outputs are from another's: what to report beside accuracies.

All functions take logits ``[N, K]`` (see `forward.logits`), so that a model is run once for all of them,
and compute in float64 on the CPU (MPS has no float64).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..networks.forward import check_logits

TOW_SETS = ("forget_train_acc", "retain_train_acc", "retain_test_acc")


def _check_alike(z_a: Tensor, z_b: Tensor) -> None:
    shapes = [tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__ for z in (z_a, z_b)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise ValueError(
            f"logits of shapes {shapes[0]} and {shapes[1]} cannot be compared: "
            "pass two [N, K] tensors for the same inputs"
        )
    check_logits(z_a)
    check_logits(z_b)


def js_divergence(z_a: Tensor, z_b: Tensor) -> Tensor:
    r"""Jensen-Shannon divergence in bits between softmax(z_a) and softmax(z_b), ``[N]``, 0..1.

    .. math:: JS(p, q) = \tfrac12 KL(p \| m) + \tfrac12 KL(q \| m), \quad m = (p + q) / 2

    Symmetric; 0 for equal and 1 for disjoint distributions, whatever K. Computed in float64 from
    log-probabilities, exact where a probability is 0. Raises ``ValueError`` for unequal shapes, and what
    `forward.check_logits` raises.
    Source: Lin 1991, "Divergence measures based on the Shannon entropy".
    """
    _check_alike(z_a, z_b)
    log_p, log_q = (torch.log_softmax(z.cpu().double(), dim=1) for z in (z_a, z_b))
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    p_part, q_part = (
        torch.where(log_r == -math.inf, 0.0, log_r.exp() * (log_r - log_m)).sum(1) for log_r in (log_p, log_q)
    )
    return ((p_part + q_part) / (2 * math.log(2))).clamp(0, 1)


def activation_distance(z_a: Tensor, z_b: Tensor) -> float:
    r"""Mean over samples of :math:`\|softmax(z_a) - softmax(z_b)\|_2`, from 0 to sqrt(2).

    To be read against the distance between two gold models of different seeds, not against 0.
    Raises ``ValueError`` for unequal shapes.
    """
    _check_alike(z_a, z_b)
    p_a, p_b = (torch.softmax(z.cpu().double(), dim=1) for z in (z_a, z_b))
    return float((p_a - p_b).norm(dim=1).mean())


def zrf(z: Tensor, z_random: Tensor) -> float:
    r"""Zero retrain forgetting, :math:`1 - mean_x JS(f(x), f_{random}(x))` over D_f, 0..1.

    ``z_random``: logits of a randomly initialised network (`architecture.build` with another seed) in EVAL
    mode, as `forward.logits` gives them. 1: on D_f the model knows as little as that network. A high
    value is not a goal in itself: compare with a gold model's.

    The published code applies ``F.kl_div`` the wrong way round (m against p and q) and with
    ``reduction="mean"``, which divides by N K: its ZRF approaches 1 as K grows. It also leaves the
    random network in train mode, where batch norm makes the outputs depend on the batch.
    Source: Chundawat et al. 2023 (2205.08096).
    """
    return 1 - float(js_divergence(z, z_random).mean())


def tow(row: Mapping[str, float], gold_row: Mapping[str, float]) -> float:
    r"""Tug of war, :math:`\prod_S (1 - |a_S - a_S^{gold}|)` with accuracies in 0..1; 1 is gold itself.

    row, gold_row: what `how_accurate.accuracies` returns (percent). S runs over D_f, D_r and the retained
    test images (``forget_train_acc``, ``retain_train_acc``, ``retain_test_acc``); in random forgetting
    the last are the whole test set. Source: Zhao et al. 2024 (2406.01257).
    """
    return math.prod(1 - abs(float(row[name]) - float(gold_row[name])) / 100 for name in TOW_SETS)
