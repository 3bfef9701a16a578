r"""Choosing :math:`\alpha` by **agreement**: without labels, without gold and without test images.

The reference is what the original itself answers, :math:`a(x) = \arg\max_k f_k(x)`. With
:math:`A_\alpha(S)` the share of samples x of S that the dampened model still answers with :math:`a(x)`,

.. math:: \ell(\alpha) = 1 - A_\alpha(D_r) + |A_\alpha(D_f) - A^*|, \qquad \alpha^* = \arg\min_\alpha \ell .

* **The aim** :math:`A^*`: what a model that never saw D_f would still answer alike, judged by what remains.
  With :math:`n(S)` the share of samples of S whose nearest other sample in D_r has the same answer, it is
  :math:`\min(1, n(D_f) / n(D_r))`, and 0 where that is below 1/2: neighbours are a weak classifier, and
  answers that are wrong on D_r count in it. All of a class: 0. Random samples: near 1. With
  :math:`A^* = 0` the smallest loss is the largest :math:`A_\alpha(D_r) - A_\alpha(D_f)`.
* **The range.** A weight whose ratio :math:`I(D_f) / I(D)` is at most :math:`\max(1, \lambda)` matters no
  more to D_f than to D, or has the factor 1; from the largest ratio on none is selected. The thresholds are
  evenly spaced in :math:`\log\alpha` from the one to the other; at the last the model is the original.
* **Ties.** Losses within one sample of the smaller set of the smallest one, and within 0.01, are equal to it.
  The longest run of these is the plateau (of equally long ones the last); chosen is its middle threshold, of
  two the larger.

Nearest: by Euclid's distance of the inputs, or by the number of places that differ in whole numbers (tokens).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .batches import Batch, read, split_data
from .importance_sums import Importance
from .logits import Forward, Logits
from .precision import evaluating
from .redampen import Dial
from .samples import draw, rows

NAME, THRESHOLDS = "agreement", 24


@dataclass(frozen=True)
class Agreement:
    r"""The chosen ``alpha``, the ``aim`` :math:`A^*` and the ``curve``, a row a threshold: ``alpha``,
    ``selected`` (weights), ``kept`` :math:`A_\alpha(D_r)`, ``left`` :math:`A_\alpha(D_f)`, ``loss``,
    ``plateau`` (whether it belongs to it) and ``chosen``. ``samples``: so many went forward."""

    alpha: float
    aim: float
    curve: pd.DataFrame
    samples: int


def chosen(
    model: nn.Module, i_f: Importance, i_d: Importance, forget, full, lam: float = 1.0, *, seed: int = 0,
    batch_size: int | None = None, forward: Forward | None = None,
) -> Agreement:  # fmt: skip
    """`choose` for a request as `unlearn.lfssd` has it: inputs of D_f and of all of D, of both at most
    ``samples.SAMPLES``, and none of D_f's among D's (`samples.draw`, which also says what is refused)."""
    like = next(iter(model.parameters()))
    few, rest = draw(forget, full, i_f.samples, i_d.samples, like, seed, batch_size, forward is not None)
    return choose(Dial(model, i_f, i_d), few, rest, lam, forward=forward)


@torch.no_grad()
def choose(
    dial: Dial, forget, retain, lam: float = 1.0, *, thresholds: int = THRESHOLDS, aim: float | None = None,
    forward: Forward | None = None,
) -> Agreement:  # fmt: skip
    r"""The threshold :math:`\alpha^*` of the module's rule, for samples of D_f and of D_r (a tensor, or what
    else `importance.sensitivity` takes). aim: :math:`A^*`, where it is known.

    Costs a forward pass of both sets, and one more for each threshold that selects other weights than the one
    before. Raises ``ValueError`` without a sample of D_f, with fewer than two of D_r, for fewer than two
    thresholds, an aim outside 0 to 1, and a largest ratio of at most :math:`\max(1, \lambda)`.
    """
    if thresholds < 2 or (aim is not None and not 0 <= aim <= 1):
        raise ValueError(f"needs at least 2 thresholds and an aim from 0 to 1, got {thresholds} and {aim}")
    sets = [_batches(data, dial.theta, forward is not None) for data in (forget, retain)]
    m, n = (sum(map(len, batches)) for batches in sets)
    if m < 1 or n < 2:
        raise ValueError(f"needs samples of D_f and at least 2 of D_r, got {m} and {n}")
    low, high = max(1.0, lam), float((dial.forget / dial.full)[dial.full > 0].max()) * (1 + 1e-6)
    if not low < high:
        raise ValueError(
            f"no threshold changes a weight at lam={lam:g}: the largest I(D_f) / I(D) is {high:.4g}. Take a "
            "smaller lam, or look at what D_f is: nothing in the network belongs to it more than to D"
        )
    before = [_answers(dial.at(high), batches, forward) for batches in sets]
    aim = _aim(*map(rows, sets), *before) if aim is None else aim
    cells, seen, known = [], m + n, {0: (1.0, 1.0)}
    for alpha in map(float, np.geomspace(low, high, thresholds)[:-1]):
        count = len(dial.chosen(alpha))  # sets of equal size are equal
        if count not in known:
            now = [_answers(dial.at(alpha, lam), batches, forward) for batches in sets]
            known[count] = tuple(_share(a, b) for a, b in zip(now, before, strict=True))
            seen += m + n
        cells.append((alpha, count, *reversed(known[count])))
    curve = pd.DataFrame([*cells, (high, 0, 1.0, 1.0)], columns=["alpha", "selected", "kept", "left"])
    curve = judged(curve, aim, min(m, n))
    return Agreement(float(curve.alpha[curve.chosen].item()), float(aim), curve, seen)


def judged(curve: pd.DataFrame, aim: float, smaller: int) -> pd.DataFrame:
    """A curve of ``kept`` and ``left`` with ``loss``, ``plateau`` and ``chosen``; smaller: samples in the
    smaller set."""
    loss = 1 - curve.kept + (curve.left - aim).abs()
    inside = plateau(loss.to_numpy(), min(0.01, 1 / smaller))
    middle = np.flatnonzero(inside)[inside.sum() // 2]
    return curve.assign(loss=loss, plateau=inside, chosen=np.arange(len(curve)) == middle)


def _batches(data, like: Tensor, adapted: bool) -> list[Batch]:
    parts = split_data(data, None, None, like)
    return [part if isinstance(part, Batch) else read(part, 1, like, adapted) for part in parts]


def plateau(loss: np.ndarray, tie: float) -> np.ndarray:
    """Mask ``[T]`` of the longest run of losses that are within ``tie`` of the smallest, the last of them."""
    low = loss <= loss.min() + tie + 1e-9
    runs = np.cumsum(np.diff(low, prepend=False) != 0)
    lengths = {int(run): int((runs == run).sum()) for run in runs[low]}
    return low & (runs == max(lengths, key=lambda run: (lengths[run], run)))


def _aim(forget: Tensor, retain: Tensor, a_f: Tensor, a_r: Tensor) -> float:
    r""":math:`A^*` from samples ``[m, P]``, ``[n, P]`` and the original's answers to them."""
    p = 2.0 if retain.is_floating_point() else 0.0
    near, among = (torch.cdist(x.float(), retain.float(), p) for x in (forget, retain))
    among.fill_diagonal_(float("inf"))
    found, usual = _share(a_r[near.argmin(1)], a_f), _share(a_r[among.argmin(1)], a_r)
    return 0.0 if 2 * found < usual else min(1.0, found / usual) if usual else 1.0


def _answers(model: nn.Module, batches: list[Batch], forward: Forward | None) -> Tensor:
    """Answers ``[N, ...]``; where there is one logit, its sign; -1 where one is not a number."""
    with evaluating(model):
        z = torch.cat([Logits(model, forward)(batch.inputs) for batch in batches])
    best = (z[..., 0] > 0).long() if z.shape[-1] == 1 else z.argmax(-1)
    return best.masked_fill(z.isnan().any(-1), -1)


def _share(a: Tensor, b: Tensor) -> float:
    return int((a == b).sum()) / a.numel()
