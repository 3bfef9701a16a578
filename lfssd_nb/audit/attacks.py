r"""The membership ladder: attacks from one threshold for all images to one test per image.

Every rung gives each image a score, higher for images that look like training data, and
`auc_and_tpr` says how well the scores rank members above non-members. The global scores are here;
the top rung, LiRA, is in `lira` and works on `stable_logit`. What counts is the true-positive rate at a
low false-positive rate: an attack that is surely right about few images is worse than one that is a
little better than chance about all (Carlini et al. 2112.03570).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from torch import Tensor

from ..networks.forward import check_logits
from .arguments import check_labelled, check_rate, check_whole
from .membership import entropy


def stable_logit(z: Tensor, y: Tensor) -> Tensor:
    r"""Log-odds of the label, :math:`\phi = \log \frac{p_y}{1 - p_y} = z_y - \log\sum_{k \ne y} e^{z_k}`.

    From logits ``[N, K]`` and labels ``[N]``, in float64 ``[N]`` on the CPU: 1 - p_y, which rounds to 0
    on fitted images, is never formed. Close to normally distributed, which LiRA's Gaussians rely on.
    Raises ``ValueError`` unless there is a label for each row, and `forward.check_logits`' error.
    """
    check_labelled(z, y)
    check_logits(z)
    z, y = z.cpu().double(), y.cpu()[:, None]
    return (z.gather(1, y) - z.scatter(1, y, -torch.inf).logsumexp(1, keepdim=True))[:, 0]


def scores(z: Tensor, y: Tensor) -> dict[str, Tensor]:
    r"""Global scores ``[N]`` from logits ``[N, K]`` and labels ``[N]``; higher is more member-like.

    ``entropy``: -H in nats, without labels. ``confidence``: log-odds of the largest probability, which
    rank like the probability but do not round to a tie at 1. ``loss``: log p_y, minus the cross-entropy.
    """
    return {
        "entropy": -entropy(z.cpu()),
        "loss": F.logsigmoid(stable_logit(z, y)),
        "confidence": stable_logit(z, z.argmax(1)),
    }


@dataclass(frozen=True)
class Ranking:
    """``auc`` (0.5 is chance) and ``tpr`` at the fixed FPR (chance is the FPR itself), each with the ends
    of its 95 % bootstrap interval over samples."""

    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    tpr_low: float
    tpr_high: float


def auc_and_tpr(
    members: ArrayLike, non_members: ArrayLike, fpr: float = 0.01, n_bootstrap: int = 1000, seed: int = 0
) -> Ranking:
    """How well scores tell members from non-members: P(member > non-member), ties half, and TPR at ``fpr``.

    The threshold is the lowest score at which at most ``fpr`` of the non-members are called members,
    never more. With n non-members the FPR moves in steps of 1/n: below n = 1/``fpr`` (100 at 1 %) no false
    positive at all is allowed, and the TPR is the share of members above every non-member. The intervals
    resample both sides ``n_bootstrap`` times; that of the TPR is rough when ``fpr`` n is below about 5.
    Raises ``ValueError`` for an empty side, NaN scores, or an ``fpr`` that is no share between 0 and 1.
    """
    check_rate("fpr", fpr)
    check_whole("n_bootstrap", n_bootstrap)
    ranks, (m, n) = _ranks(members, non_members)
    size = max(ranks[0].max(), ranks[1].max()) + 1
    rng = np.random.default_rng(seed)

    def summary(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        a, b = (np.bincount(side, minlength=size) for side in (a, b))  # how many at each distinct score
        below = np.cumsum(b) - b
        called = n - below <= fpr * n + 1e-9  # non-members at or above that score
        return (a @ (below + b / 2)) / (m * n), a[called].sum() / m

    found = summary(*ranks)
    draws = [summary(*(side[rng.integers(len(side), size=len(side))] for side in ranks))
             for _ in range(n_bootstrap)]  # fmt: skip
    low, high = np.percentile(draws, [2.5, 97.5], axis=0) if draws else np.full((2, 2), np.nan)
    return Ranking(*(float(v) for k in (0, 1) for v in (found[k], low[k], high[k])))


@dataclass(frozen=True)
class Decision:
    """Members are called at scores of ``threshold`` and above; rates (0..1) on samples that had no part
    in picking it."""

    threshold: float
    balanced_accuracy: float
    tpr: float
    fpr: float


def held_out(members: ArrayLike, non_members: ArrayLike, seed: int = 0) -> Decision:
    """Picks the threshold of best balanced accuracy on one random half of each side, reports on the other.

    On the half that it was picked on, the best threshold beats chance even on scores that mean nothing.
    Raises ``ValueError`` for fewer than two samples on a side or NaN scores.
    """
    sides = [_scores(side) for side in (members, non_members)]
    if min(map(len, sides)) < 2:
        raise ValueError(f"two halves need two samples a side, got {len(sides[0])} and {len(sides[1])}")
    (m_pick, m_rest), (n_pick, n_rest) = (
        train_test_split(side, test_size=0.5, random_state=seed) for side in sides
    )
    candidates = np.unique(np.concatenate([m_pick, n_pick]))
    tpr, fpr = (1 - np.searchsorted(np.sort(side), candidates) / len(side) for side in (m_pick, n_pick))
    threshold = float(candidates[(tpr - fpr).argmax()])
    tpr, fpr = (float((side >= threshold).mean()) for side in (m_rest, n_rest))
    return Decision(threshold, (tpr + 1 - fpr) / 2, tpr, fpr)


def _scores(given: ArrayLike | Tensor) -> np.ndarray:
    values = torch.as_tensor(given).cpu().double().numpy().ravel()
    if not len(values) or np.isnan(values).any():
        raise ValueError(
            f"{np.isnan(values).sum()} of {len(values)} membership scores are NaN: "
            "each side needs at least one sample, and a model with finite outputs"
        )
    return values


def _ranks(members: ArrayLike, non_members: ArrayLike) -> tuple[list[np.ndarray], list[int]]:
    """Every score as its place among the distinct scores, so that a count replaces every comparison."""
    sides = [_scores(side) for side in (members, non_members)]
    place = np.unique(np.concatenate(sides), return_inverse=True)[1].ravel()
    return np.split(place, [len(sides[0])]), [len(side) for side in sides]
