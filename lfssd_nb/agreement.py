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
  evenly spaced in :math:`\log\alpha` from the one to the other; at the last the model is the original. Where
  no ratio is above :math:`\max(1, \lambda)` that last one is the only one.
* **Ties.** Losses within one sample of the smaller set of the smallest one, and within 0.01, are equal to it.
  The longest run of these is the plateau (of equally long ones the last); chosen is its middle threshold, of
  two the larger.

Nearest: by Euclid's distance of the inputs, or by the number of places that differ in whole numbers (tokens).
An answer: the largest of the logits ``[N, K]``, of one logit its sign; a model that answers at several places
has as many, ``[N, ..., K]``, or ``[N, K, H, W]`` with four dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .batches import Batch, read, split_data
from .importance_sums import Importance
from .logits import Forward, Logits, check_uses_model
from .precision import undisturbed
from .redampen import Anew, Dial
from .samples import INSTEAD, draw, rows

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

    @property
    def left(self) -> float:
        r""":math:`A_{\alpha^*}(D_f)` at the chosen threshold."""
        return float(self.curve.left[self.curve.chosen].item())


def chosen(
    model: nn.Module, i_f: Importance, i_d: Importance, forget, full, lam: float = 1.0, *, seed: int = 0,
    batch_size: int | None = None, forward: Forward | None = None,
) -> Agreement:  # fmt: skip
    """`choose` for a request as `unlearn.lfssd` has it: inputs of D_f and of all of D, of both at most
    ``samples.SAMPLES``, and none of D_f's among D's. Raises what `choose`, `samples.draw` and, for
    importances that do not belong to the model or to D_f and D, `dampening.dampen` raise, and ``ValueError``
    for a ``forward`` that does not use the model that it is given."""
    models = Anew(model, i_f, i_d)
    few, rest = draw(
        forget, full, i_f.samples, i_d.samples, models.like, seed, batch_size, forward is not None
    )
    if forward is not None:
        with undisturbed(model):
            check_uses_model(forward, few[0].inputs)
    return choose(models, few, rest, lam, forward=forward)


def check_readable(forget, full) -> None:
    """Raises ``ValueError`` unless D_f and D are samples that can be read twice, before any work is done."""
    for name, data in (("D_f", forget), ("D", full)):
        if isinstance(data, Importance):
            raise ValueError(
                f"alpha={NAME!r} needs samples of D_f and of D, and got an importance: pass inputs, or the "
                "alpha that agreement.choose finds with samples of D_r"
            )
        if isinstance(data, Iterator):
            raise ValueError(
                f"{name} is an iterator, which can be read once, and choosing alpha reads it again: pass a "
                f"tensor, a data set, a list of batches or a DataLoader, {INSTEAD}"
            )


@torch.no_grad()
def choose(
    dial: Dial | Anew, forget, retain, lam: float = 1.0, *, thresholds: int = THRESHOLDS,
    aim: float | None = None, forward: Forward | None = None,
) -> Agreement:  # fmt: skip
    r"""The threshold :math:`\alpha^*` of the module's rule, for samples of D_f and of D_r (a tensor, or what
    else `importance.sensitivity` takes). aim: :math:`A^*`, where it is known.

    Costs a forward pass of both sets, and one more for each threshold that selects other weights than the one
    before: `Agreement.samples` counts them. Raises ``ValueError`` without a sample of D_f, with fewer than
    two of D_r, for fewer than two thresholds, an aim outside 0 to 1, a model that gives all samples one and
    the same answer where the aim is not known, and answers whose shape changes from batch to batch.
    """
    if thresholds < 2 or (aim is not None and not 0 <= aim <= 1):
        raise ValueError(f"needs at least 2 thresholds and an aim from 0 to 1, got {thresholds} and {aim}")
    adapted = forward is not None
    sets = [_batches(data, dial.like, adapted) for data in (forget, retain)]
    m, n = (sum(map(len, batches)) for batches in sets)
    if m < 1 or n < 2:
        raise ValueError(f"needs samples of D_f and at least 2 of D_r, got {m} and {n}")
    low = max(1.0, lam)
    high = max(low, dial.largest * (1 + 1e-6))
    before = _answers(dial.at(high), sets, forward)
    if aim is None:
        if torch.cat(before).unique().numel() == 1:
            raise ValueError(
                f"the model gives all {m + n} samples the same answer, so that answers cannot tell a good "
                f"alpha from a bad one: look at the model, {INSTEAD}"
            )
        aim = _aim(*rows(*sets, adapted), *before)
    cells, seen, known = [], m + n, {0: (1.0, 1.0)}
    for alpha in map(float, np.geomspace(low, high, thresholds)[:-1] if low < high else ()):
        count = dial.count(alpha)  # sets of equal size are equal
        if count not in known:
            now = _answers(dial.at(alpha, lam), sets, forward)
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


def _answers(model: nn.Module, sets: list[list[Batch]], forward: Forward | None) -> list[Tensor]:
    """Answers ``[N, ...]`` of each set; where there is one logit, its sign; -1 where one is not a number."""
    logits = Logits(model, forward)
    with undisturbed(model):
        found = [[_best(logits(batch.inputs)) for batch in batches] for batches in sets]
    shapes = {tuple(part.shape[1:]) for parts in found for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"the shape of an answer changes from batch to batch, {', '.join(map(str, sorted(shapes)))}: pad "
            f"all samples to one length, {INSTEAD}"
        )
    return [torch.cat(parts) for parts in found]


def _best(z: Tensor) -> Tensor:
    classes = 1 if z.ndim > 3 else -1
    best = (z.movedim(classes, -1)[..., 0] > 0).long() if z.shape[classes] == 1 else z.argmax(classes)
    return best.masked_fill(z.isnan().any(classes), -1)


def _share(a: Tensor, b: Tensor) -> float:
    return int((a == b).sum()) / a.numel()
