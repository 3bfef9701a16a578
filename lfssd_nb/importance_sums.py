"""An importance as sums over samples and their count: it can be merged, saved, and averaged.

So that :math:`I(D)` can be accumulated piece by piece, and D discarded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .system import files


@dataclass(frozen=True)
class Importance:
    """Sums over samples (or batches) and their count: enough to merge, save and average.

    ``sums``: one tensor per trainable parameter (or per one that ``parameters`` names), in its shape,
    float32 or finer, on its device or where ``offload`` says.
    ``count``: samples with ``reduction="sample"``, batches with ``"batch"``. ``samples``: samples.
    ``estimator``: ``"sensitivity"`` (units: squared logits per unit of weight), ``"norm sensitivity"``
    (logits per unit of weight) or ``"fisher"`` (squared nats per squared unit of weight).
    """

    sums: dict[str, Tensor]
    count: int
    samples: int
    estimator: str
    reduction: str

    def __post_init__(self):
        whole = all(type(n) is int and n >= 0 for n in (self.count, self.samples))
        both = whole and self.count <= self.samples and (self.count > 0) == (self.samples > 0)
        if not both or self.reduction not in ("sample", "batch"):
            raise ValueError(
                f"an importance of count={self.count!r} and samples={self.samples!r} by "
                f"{self.reduction!r}: count samples ('sample') or batches ('batch'), whole numbers from 1 "
                "up (0 and 0: of nothing yet), and no more batches than samples"
            )

    @property
    def mean(self) -> dict[str, Tensor]:
        """The importance I: sums divided by count. A full copy; `of` makes that of one parameter."""
        return {name: self.of(name) for name in self.sums}

    def of(self, name: str) -> Tensor:
        """The importance of one parameter, in its shape."""
        return self.sums[name] / float(self.count)

    def __add__(self, other: Importance) -> Importance:
        r"""Importance of the union of two disjoint sets: sums and counts add up.

        :math:`I(A \cup B) = (N_A I(A) + N_B I(B)) / (N_A + N_B)`; so :math:`I(D)` can be
        accumulated piece by piece, stored, and D discarded. With ``reduction="batch"`` it is the
        importance of the two lists of batches, one after the other.

        Raises ``ValueError`` if estimator, reduction or parameters differ.
        """
        mine, theirs = (self.estimator, self.reduction), (other.estimator, other.reduction)
        if mine != theirs:
            raise ValueError(f"cannot merge importances of kinds {mine} and {theirs}; re-compute one")
        check_same_parameters(self.sums, other.sums, "the other importance")
        sums = {k: v + other.sums[k].to(v.device) for k, v in self.sums.items()}
        count, samples = self.count + other.count, self.samples + other.samples
        return Importance(sums, count, samples, self.estimator, self.reduction)

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file; an interrupted write leaves an older file as it was."""
        about = dict(count=self.count, samples=self.samples)
        about |= dict(estimator=self.estimator, reduction=self.reduction)
        files.save(path, self.sums, about)

    @staticmethod
    def load(path: str | Path, device: str | torch.device = "cpu") -> Importance:
        """Reads what `save` wrote. Raises ``files.CorruptFile`` if a byte of it has changed."""
        sums, about = files.load(path, device)
        if about.keys() != {"count", "samples", "estimator", "reduction"}:
            raise files.CorruptFile(f"{path} holds no importance; save one with Importance.save")
        try:
            return Importance(sums, **about)
        except ValueError as error:
            raise files.CorruptFile(f"{path} holds no importance ({error})") from error


def check_same_parameters(mine: dict[str, Tensor], theirs: dict[str, Tensor], what: str) -> None:
    """Raises ``ValueError`` unless both have the same names and shapes.

    Two networks of one architecture cannot be told apart: store an importance beside its model.
    """
    for name in (*mine, *(name for name in theirs if name not in mine)):
        a, b = (tuple(d[name].shape) if name in d else "absent" for d in (mine, theirs))
        if a != b:
            raise ValueError(
                f"{what} belongs to another model: parameter {name!r} is {a} here and {b} there; "
                "compute it with this model and the same parameters="
            )


def check_finite(values: dict[str, Tensor], what: str) -> None:
    """Raises ``ValueError`` naming the first parameter with a NaN or infinite entry."""
    for name, value in values.items():
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise ValueError(
                f"{what} importance of parameter {name!r} has {bad} NaN or infinite values; "
                "check the model's weights and inputs, or compute it in float32"
            )
