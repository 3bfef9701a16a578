"""What to forget, as data: a `Scenario` is a handful of index sets over D and the test set.

* **class**, **classes**: every sample of one class, or of several;
* **subclass**: one finer class inside a super-class (the network knows only the super-classes);
* **group**: all samples of one person or writer, across classes;
* **random**: a random sample of D. There is no test population that belongs to it;
* **index**: any positions in D, one sample alone among them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..system.named import unknown
from .dataset import Dataset
from .encode import positions

KINDS = ("class", "subclass", "random", "group", "classes", "index")
BY_LABEL = ("class", "subclass", "classes")  # forgotten are all samples that bear a label


@dataclass(frozen=True, eq=False)
class Scenario:
    """Index sets: ``forget`` and ``retain`` partition D, ``test_forget`` and ``test_retain`` the
    test set (``test_forget`` is empty where no test sample is of the kind that is forgotten). ``data``: the
    fingerprint of the data set whose positions these are, see `check`."""

    kind: str
    target: str
    forget: Tensor
    retain: Tensor
    test_forget: Tensor
    test_retain: Tensor
    data: str = ""

    @property
    def ceiling(self) -> float:
        """N / N_f: with per-sample importance no alpha from here on selects anything."""
        return (len(self.forget) + len(self.retain)) / len(self.forget)


def check(data: Dataset, scenario: Scenario) -> None:
    """Raises ``ValueError`` unless the scenario's positions are positions in this data set. Every function
    that takes both calls it."""
    for split, parts, labels in (
        ("training", (scenario.forget, scenario.retain), data.train_y),
        ("test", (scenario.test_forget, scenario.test_retain), data.test_y),
    ):
        if (where := {part.device for part in parts}) != {data.device}:
            raise ValueError(
                f"the scenario's positions are on {', '.join(sorted(map(str, where)))}, {data.name!r} is on "
                f"{data.device}: make it from this data set (scenarios.make), after .to(...)"
            )
        if (total := sum(map(len, parts))) != len(labels):
            raise ValueError(
                f"the scenario belongs to other data: it splits {total} {split} {data.show.noun}, "
                f"{data.name!r} has {len(labels)}: make it from this data set (scenarios.make)"
            )
        if not torch.equal(torch.cat(parts).sort().values, torch.arange(total, device=data.device)):
            raise ValueError(
                f"forgotten and retained {split} {data.show.noun} of the scenario ({scenario.kind} "
                f"{scenario.target}) are not all {total}, each once: make it with scenarios.from_index"
            )
    if scenario.data and scenario.data != data.fingerprint:
        raise ValueError(
            f"the scenario ({scenario.kind} {scenario.target}) belongs to other data than {data.name!r}: as "
            "many samples, but other labels or names of them. Make it from this data set (scenarios.make)"
        )
    names = {"class": data.classes, "group": data.groups, "subclass": data.subclasses}.get(scenario.kind)
    if scenario.data and names is not None and scenario.target and scenario.target not in names:
        raise ValueError(
            f"the scenario forgets {scenario.kind} {scenario.target!r}, which {data.name!r} does not have "
            f"(it has {', '.join(names[:12])}): make it from this data set (scenarios.make)"
        )
    if scenario.kind == "subclass" and data.train_sub is None:
        raise ValueError(
            f"{data.name!r} has no super-class labels: pass the data of the scenario ({data.name!r} after "
            "coarsen(), for instance digits5)"
        )


def from_index(
    data: Dataset, forget: Tensor, test_forget: Tensor | None = None, kind: str = "index", target: str = ""
) -> Scenario:
    """A scenario from any set of positions in D (and, if some belong to it, in the test set).

    Raises ``ValueError`` for an empty set, all of D, and what `encode.positions` refuses.
    """
    n = len(data.train_y)
    forget = positions("forget set", forget, n, "D", data.device)
    if not len(forget):
        raise ValueError(f"the forget set is empty ({kind} {target or 'scenario'}): name at least one sample")
    if len(forget) == n:
        raise ValueError("the forget set is all of D: nothing would be retained; train anew instead")
    keep = torch.ones(n, dtype=torch.bool, device=data.device)
    keep[forget] = False
    test_keep = torch.ones(len(data.test_y), dtype=torch.bool, device=data.device)
    if test_forget is not None:
        test_keep[positions("test_forget", test_forget, len(test_keep), "the test set", data.device)] = False
    return Scenario(
        kind, target, forget.sort().values, keep.nonzero()[:, 0],
        (~test_keep).nonzero()[:, 0], test_keep.nonzero()[:, 0], data.fingerprint,
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


def forget_classes(data: Dataset, targets: Iterable[int | str]) -> Scenario:
    """Every sample of several classes, given by number or name. Raises ``ValueError`` for none and for a
    class twice."""
    numbers = [_number(data, "class", target, data.classes) for target in targets]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"name at least one class, and each once: got {[data.classes[k] for k in numbers]}")
    wanted = torch.tensor(numbers, device=data.device)
    found = [torch.isin(labels, wanted).nonzero()[:, 0] for labels in (data.train_y, data.test_y)]
    return from_index(
        data, *found, kind="classes", target=", ".join(data.classes[k] for k in sorted(numbers))
    )


def forget_group(data: Dataset, target: int | str) -> Scenario:
    """Every sample of one person, writer, ... (see `Dataset.groups`), of whatever class."""
    if data.train_group is None:
        raise ValueError(
            f"{data.name!r} has no groups: pass train_group and test_group to Dataset.from_tensors, or load "
            "'watch', which has ten people"
        )
    return _by_label(data, "group", target, data.groups, data.train_group, data.test_group)


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
    number = _number(data, kind, target, names)
    found = [(labels == number).nonzero()[:, 0] for labels in (train, test)]
    return from_index(data, *found, kind=kind, target=names[number])


def _number(data: Dataset, kind: str, target: int | str, names: tuple[str, ...]) -> int:
    found = target
    if isinstance(found, bool | float):
        raise ValueError(f"a {kind} is given by its number or name, got {target!r}")
    if not isinstance(found, str) and str(found) in names and names.index(str(found)) != found:
        raise ValueError(f"is {kind} {found} a number or a name? Names are {names[:12]}: pass it as a text")
    if isinstance(found, str) and found in names:
        found = names.index(found)
    if isinstance(found, str) and found.isdecimal():
        found = int(found)
    if isinstance(found, str) or not 0 <= found < len(names):
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ValueError(f"unknown {kind} {found!r}: {data.name!r} has 0 to {len(names) - 1} ({listed})")
    return int(found)


def make(data: Dataset, kind: str, target: int | str, seed: int = 0) -> Scenario:
    """A scenario by name. ``target``: a class, a sub-class or a group by number or name; for ``"random"`` how
    many samples, drawn with ``seed``; for ``"classes"`` several, ``"3+8"``; for ``"index"`` positions in D,
    ``"0+7+12"``. Raises ``ValueError`` for an unknown kind or target."""
    if kind == "class":
        return forget_class(data, target)
    if kind == "subclass":
        return forget_subclass(data, target)
    if kind == "group":
        return forget_group(data, target)
    if kind == "classes":
        return forget_classes(data, str(target).split("+"))
    if kind == "random":
        if not str(target).isdecimal():
            raise ValueError(f"random forgetting needs a number of samples, got {target!r}")
        return forget_random(data, int(target), seed)
    if kind == "index":
        parts = str(target).split("+")
        if not all(part.isdecimal() and len(part) < 19 for part in parts):  # as 64 bits hold them
            raise ValueError(f"index forgetting needs positions in D, like '0+7+12', got {target!r}")
        return from_index(data, list(map(int, parts)), kind="index", target=str(target))
    raise ValueError(unknown("scenario", kind, KINDS))
