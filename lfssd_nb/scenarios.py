"""What to forget, as data: a `Scenario` is a handful of index sets over D and the test set.

* **class**: every training image of one class;
* **subclass**: one finer class inside a super-class (the network knows only the super-classes);
* **random**: a random sample of D. There is no test population that belongs to it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .data import Dataset

KINDS = ("class", "subclass", "random")


@dataclass(frozen=True)
class Scenario:
    """Index sets: ``forget`` and ``retain`` partition D, ``test_forget`` and ``test_retain`` the
    test set (``test_forget`` is empty for random forgetting)."""

    kind: str
    target: str
    forget: Tensor
    retain: Tensor
    test_forget: Tensor
    test_retain: Tensor

    @property
    def ceiling(self) -> float:
        """N / N_f: with per-sample importance no alpha from here on selects anything."""
        return (len(self.forget) + len(self.retain)) / len(self.forget)


def from_index(
    data: Dataset, forget: Tensor, test_forget: Tensor | None = None, kind: str = "custom", target: str = ""
) -> Scenario:
    """A scenario from any set of positions in D (and, if some belong to it, in the test set).

    Raises ``ValueError`` for an empty set, repeats, positions outside D, or all of D.
    """
    n = len(data.train_y)
    forget = torch.as_tensor(forget, device=data.device).long()
    if not len(forget):
        raise ValueError(f"the forget set is empty ({kind} {target or 'scenario'}): name at least one sample")
    if int(forget.min()) < 0 or int(forget.max()) >= n:
        raise ValueError(
            f"the forget set is not inside D: positions {int(forget.min())} to {int(forget.max())}, "
            f"but D has {n} samples (0 to {n - 1})"
        )
    if len(forget.unique()) < len(forget):
        raise ValueError("the forget set names a sample twice; pass every position once")
    if len(forget) == n:
        raise ValueError("the forget set is all of D: nothing would be retained; train anew instead")
    keep = torch.ones(n, dtype=torch.bool, device=data.device)
    keep[forget] = False
    test_keep = torch.ones(len(data.test_y), dtype=torch.bool, device=data.device)
    if test_forget is not None:
        test_keep[test_forget] = False
    return Scenario(
        kind, target, forget.sort().values, keep.nonzero()[:, 0],
        (~test_keep).nonzero()[:, 0], test_keep.nonzero()[:, 0],
    )  # fmt: skip


def forget_class(data: Dataset, target: int | str) -> Scenario:
    """Every image of one class, given by number or name."""
    return _by_label(data, "class", target, data.classes, data.train_y, data.test_y)


def forget_subclass(data: Dataset, target: int | str) -> Scenario:
    """Every image of one sub-class of a data set labelled by super-class (see `Dataset.coarsen`)."""
    if data.train_sub is None:
        raise ValueError(
            f"{data.name!r} has no super-class labels: use data.coarsen(), or load 'digits5' or 'cifar20'"
        )
    return _by_label(data, "subclass", target, data.subclasses, data.train_sub, data.test_sub)


def forget_random(data: Dataset, n: int, seed: int = 0) -> Scenario:
    """n samples of D, drawn without replacement with ``seed``.

    Not with torch's generator: a training with the same seed would see them as its first batches.
    """
    total = len(data.train_y)
    if not 0 < n < total:
        raise ValueError(f"cannot forget {n} random samples of {total}; choose 1 to {total - 1}")
    chosen = np.random.default_rng(seed).choice(total, n, replace=False)
    return from_index(data, chosen, kind="random", target=f"{n} samples (seed {seed})")


def _by_label(data, kind, target, names, train, test) -> Scenario:
    if isinstance(target, str) and target in names:
        target = names.index(target)
    if isinstance(target, str) and target.isdecimal():
        target = int(target)
    if isinstance(target, str) or not 0 <= target < len(names):
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ValueError(f"unknown {kind} {target!r}: {data.name!r} has 0 to {len(names) - 1} ({listed})")
    found = [(labels == target).nonzero()[:, 0] for labels in (train, test)]
    return from_index(data, *found, kind=kind, target=names[target])


def class_order(data: Dataset, scenario: Scenario) -> Tensor:
    """Positions of D by class (by sub-class where there are any) in class and sub-class forgetting, else as
    stored: no batch mixes classes, but at the borders, and I(D) is the same for every forget set."""
    if scenario.kind in ("class", "subclass"):
        return (data.train_y if data.train_sub is None else data.train_sub).argsort(stable=True)
    return torch.arange(len(data.train_y), device=data.device)


def reference_order(data: Dataset, scenario: Scenario) -> Tensor:
    """Positions of D as the reference code of SSD hands them to its batch means: first D_r, by class (by
    sub-class in sub-class forgetting; as stored in random), then D_f."""
    retain = scenario.retain
    labels = {"class": data.train_y, "subclass": data.train_sub}.get(scenario.kind)
    if labels is not None:
        retain = retain[labels[retain].argsort(stable=True)]
    return torch.cat([retain, scenario.forget])


def make(data: Dataset, kind: str, target: int | str, seed: int = 0) -> Scenario:
    """A scenario by name: ``target`` is a class, a sub-class, or for ``"random"`` a sample count."""
    if kind == "class":
        return forget_class(data, target)
    if kind == "subclass":
        return forget_subclass(data, target)
    if kind == "random":
        if not str(target).isdecimal():
            raise ValueError(f"random forgetting needs a number of samples, got {target!r}")
        return forget_random(data, int(target), seed)
    raise ValueError(f"unknown scenario {kind!r}; choose one of {', '.join(KINDS)}")
