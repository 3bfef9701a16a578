r"""KLOM: image by image, do N unlearned networks answer as N retrained ones do?

.. math:: KLOM(x) = KL(\hat p_{unlearned} \| \hat p_{retrained}) = \sum_b p_b \log (p_b / q_b)

over the histograms of the networks' margins at image x, in nats: 20 bins of equal width from the smallest to
the largest of the 2 N margins, clipped at +-100; where retrained networks leave a bin empty, q_b is 1e-5.
It is about a *method*: one number an image for N runs of it. The direction matters: it asks where unlearned
networks are that retrained ones are not, and it hardly minds what they leave out.

With few networks the histograms are ragged, and honest ones are far from each other: `floor` says how far.

Source: Rinberg et al., "Easy Data Unlearning Bench" (2602.16400), after Georgiev et al. 2410.23232; their
code, RoyRin/data-unlearning-bench @ eb261f9, unlearning_bench/eval.py:79-155. That drops the largest of the
2 N margins, which lies on the last bin's open edge; here the last bin is closed.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .arguments import check_whole
from .attacks import stable_logit


def margins(outputs: Iterable[Tensor], y: Tensor) -> Tensor:
    r"""Margins ``[N, M]`` of N networks at M images: :math:`z_y - \log \sum_{k \ne y} e^{z_k}`, float64.

    outputs: the networks' logits ``[M, K]``, one tensor each; y: the labels ``[M]``. The margin is the
    log-odds of the label, `attacks.stable_logit`. Raises ``ValueError`` for no network, and what that raises.
    """
    rows = [stable_logit(z, y) for z in outputs]
    if not rows:
        raise ValueError("margins of no network: give the logits of at least one")
    return torch.stack(rows)


def klom(
    unlearned: Tensor, retrained: Tensor, bins: int = 20, clip: float = 100.0, eps: float = 1e-5
) -> Tensor:
    """KLOM of each image in nats, ``[M]``, from margins ``[N, M]`` (see `margins`); at most log(1 / eps).

    Raises ``ValueError`` for margins that are not finite (a mask with -inf), or of different images.
    """
    check_whole("bins", bins, 1)
    p, q = _clipped("unlearned", unlearned, clip), _clipped("retrained", retrained, clip)
    if p.shape[1] != q.shape[1]:
        raise ValueError(
            f"margins of {p.shape[1]} and of {q.shape[1]} images: ask all networks about the same"
        )
    both = np.concatenate([p, q])
    low, width = both.min(0), np.ptp(both, 0)
    scale = bins / np.where(width > 0, width, 1.0)
    p, q = (_shares(((side - low) * scale).astype(int).clip(max=bins - 1), bins) for side in (p, q))
    q = np.where(p > 0, np.maximum(q, eps), q)
    q /= q.sum(1, keepdims=True)
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return torch.from_numpy((p * np.log(ratio)).sum(1))


def floor(retrained: Tensor, size: int | None = None, draws: int = 20, seed: int = 0, **options) -> Tensor:
    """KLOM between two disjoint samples of ``size`` retrained networks each, mean over ``draws``: ``[M]``.

    What an exact method would get. retrained: their margins ``[N, M]``; size: None takes halves; options:
    those of `klom`. Compare only with a KLOM of as many networks on each side.
    Raises ``ValueError`` if there are not twice as many networks.
    """
    size = len(retrained) // 2 if size is None else size
    check_whole("size", size, 1)
    check_whole("draws", draws, 1)
    if 2 * size > len(retrained):
        raise ValueError(f"two samples of {size} need {2 * size} retrained networks, got {len(retrained)}")
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order = torch.from_numpy(rng.permutation(len(retrained)))
        found.append(klom(retrained[order[:size]], retrained[order[size : 2 * size]], **options))
    return torch.stack(found).mean(0)


def _clipped(name: str, margins: Tensor, clip: float) -> np.ndarray:
    values = margins.cpu().double().numpy()
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name} {list(values.shape)}: give finite margins [N, M] of one network or more")
    return values.clip(-clip, clip)


def _shares(places: np.ndarray, bins: int) -> np.ndarray:
    """Histograms ``[M, bins]``, as shares, of the bins ``[N, M]`` that N networks fall into."""
    n, m = places.shape
    flat = (places + bins * np.arange(m)).ravel()
    return np.bincount(flat, minlength=m * bins).reshape(m, bins) / n
