"""A training set D and a test set of any kind, on one device: images, texts, series, rows.

>>> Dataset.from_tensors(train_x, train_y, test_x, test_y, classes=("no", "yes"), train_group=people)

`from_folder` and `from_table` make one from files and tables, `catalogue.load` by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from ..system import files
from . import images, tables
from . import show as shown
from .encode import check_labels, check_parents, check_samples, names_and_numbers, samples, stratified

COARSE_NAMES = {"digits": "digits5", "cifar100": "cifar20", "names": "families"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """``train_x``, ``test_x``: samples ``[N, ...]`` of any type. ``train_y``, ``test_y``: int64 ``[N]``, the
    labels to train on, named by ``classes``. ``source``: where the samples come from, to be said beside
    every figure. ``show``: how one is shown (`show.Images`, ...).

    Optional: ``parents[c]``, the super-class of class c, and their names ``superclasses``; after `coarsen`,
    ``train_sub``/``test_sub``, the finer labels that the network never sees, and their names ``subclasses``;
    ``train_group``/``test_group``, who or what each sample comes from (a person, a writer), named by
    ``groups``.

    Raises ``ValueError`` for parts that do not belong together.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    source: str
    show: shown.Show
    parents: tuple[int, ...] | None = None
    superclasses: tuple[str, ...] | None = None
    train_sub: Tensor | None = None
    test_sub: Tensor | None = None
    subclasses: tuple[str, ...] | None = None
    train_group: Tensor | None = None
    test_group: Tensor | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self):
        for split in ("train", "test"):
            x = getattr(self, f"{split}_x")
            check_samples(f"{split}_x", x)
            for kind, names in (("y", "classes"), ("sub", "subclasses"), ("group", "groups")):
                check_labels(
                    f"{split}_{kind}", getattr(self, f"{split}_{kind}"), x, getattr(self, names), names
                )
        if self.train_x.shape[1:] != self.test_x.shape[1:] or self.train_x.dtype != self.test_x.dtype:
            here, there = ([*map(int, x.shape[1:])] for x in (self.train_x, self.test_x))
            raise ValueError(
                f"training samples are {self.train_x.dtype}{here}, test samples "
                f"{self.test_x.dtype}{there}: both must be alike"
            )
        for names in ("classes", "superclasses", "subclasses", "groups"):
            if given := getattr(self, names):
                twice = [name for name in given if given.count(name) > 1]
                if twice:
                    raise ValueError(f"{names} names {twice[0]!r} twice: each needs a name of its own")
        if (self.parents is None) != (self.superclasses is None):
            raise ValueError(
                "give parents (a number for each class) and superclasses (their names), or neither"
            )
        if self.parents is not None:
            check_parents(self.parents, self.classes, self.superclasses)

    @property
    def device(self) -> torch.device:
        return self.train_x.device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the finest labels, the groups and the names of both, which tells a `Scenario` whose
        positions it holds. The same for a data set and what `coarsen` makes of it, and on every device."""
        found = sha256(repr((self.subclasses or self.classes, self.groups)).encode())
        for split in ("train", "test"):
            sub, group = getattr(self, f"{split}_sub"), getattr(self, f"{split}_group")
            for labels in (getattr(self, f"{split}_y") if sub is None else sub, group):
                found.update(b"none" if labels is None else labels.cpu().numpy().tobytes())
        return found.hexdigest()[:16]

    @cached_property
    def digest(self) -> str:
        """A hash of all samples, labels and names."""
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        names = (self.classes, self.parents, self.superclasses, self.subclasses, self.groups)
        return files.digest(tensors, repr(names))

    def images(self, x: Tensor) -> Tensor:
        """Samples as pictures, ``[N, H, W, C]`` in 0..1. Raises ``ValueError`` if they are no images."""
        if not isinstance(self.show, shown.Images):
            raise ValueError(f"{self.name!r} holds no images: draw a sample with data.show.draw(ax, x)")
        return self.show.pictures(x)

    def coarsen(self) -> "Dataset":
        """The same samples labelled by super-class, the former classes as sub-classes."""
        if self.parents is None:
            raise ValueError(
                f"data set {self.name!r} has no super-classes; use digits or cifar100, or give it parents"
            )
        parents = torch.tensor(self.parents, device=self.device)
        return replace(
            self,
            name=COARSE_NAMES.get(self.name, f"{self.name}, coarse"),
            train_y=parents[self.train_y],
            test_y=parents[self.test_y],
            classes=self.superclasses,
            parents=None,
            superclasses=None,
            train_sub=self.train_y,
            test_sub=self.test_y,
            subclasses=self.classes,
        )

    def subset(self, n: int, seed: int = 0) -> "Dataset":
        """A stratified sample of n training samples, and of the test set in the same proportion.

        Samples stay as they are normalised. Raises ``ValueError`` unless there is one for each class, and
        no more than N.
        """
        total = len(self.train_y)
        if not 0 < n <= total:
            raise ValueError(f"subset of {n} {self.show.noun} is not possible: {self.name!r} has {total}")
        n_classes = len(self.subclasses or self.classes)
        if n < n_classes:
            raise ValueError(
                f"a subset of {n} {self.show.noun} cannot hold all {n_classes} classes; take more"
            )
        if n == total:
            return self
        parts = {}
        for split, size in (("train", n), ("test", max(1, round(n * len(self.test_y) / total)))):
            labels = getattr(self, f"{split}_y" if self.train_sub is None else f"{split}_sub")
            keep = stratified(labels, size, torch.Generator().manual_seed(seed))
            parts |= columns(self, split, keep)
        source = f"{self.source}; {n} of {total} training {self.show.noun}"
        return replace(self, source=source, **parts)

    def to(self, device: str | torch.device) -> "Dataset":
        """The same on another device."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors, show=self.show.to(device))

    @staticmethod
    def from_tensors(
        train_x,
        train_y,
        test_x,
        test_y,
        *,
        name: str = "my data",
        classes: Sequence[str] | None = None,
        source: str = "your own data",
        show: shown.Show | None = None,
        parents: Sequence[int] | None = None,
        superclasses: Sequence[str] | None = None,
        train_group: Sequence | None = None,
        test_group: Sequence | None = None,
        device: str | torch.device | None = None,
    ) -> "Dataset":
        """A data set of your own from tensors, arrays or lists, on ``device`` (default: that of train_x).

        train_x, test_x: samples ``[N, ...]``, normalised as the network shall see them; floating ones become
        float32, whole numbers int64 (tokens; 0 fills up short samples). train_y, test_y: class numbers, or
        names of classes.
        classes: names of the numbers (default: the numbers, the sorted names). train_group, test_group:
        whom each sample comes from, as numbers or names; both or none.
        Raises ``ValueError`` naming what does not fit.
        """
        x = samples("train_x", train_x), samples("test_x", test_x)
        where = torch.device(device) if device is not None else x[0].device
        labels, classes = names_and_numbers("train_y, test_y", (train_y, test_y), classes)
        members, groups = (None, None), None
        if (train_group is None) != (test_group is None):
            raise ValueError("give train_group and test_group, or neither: a group is forgotten in both sets")
        if train_group is not None:
            members, groups = names_and_numbers("train_group, test_group", (train_group, test_group), None)
        found = Dataset(
            name, x[0], labels[0], x[1], labels[1], classes, source, show or shown.fitting(x[0]),
            parents=None if parents is None else tuple(int(p) for p in parents),
            superclasses=None if superclasses is None else tuple(superclasses),
            train_group=members[0], test_group=members[1], groups=groups,
        )  # fmt: skip
        return found.to(where)

    @staticmethod
    def from_folder(folder: str | Path, **options) -> "Dataset":
        """Images by class, see `images.from_folder`."""
        return Dataset(**images.from_folder(folder, **options))

    @staticmethod
    def from_table(table, label, **options) -> "Dataset":
        """Rows of numbers, see `tables.from_table`."""
        return Dataset.from_tensors(**tables.from_table(table, label, **options))


def columns(data: Dataset, split: str, index: Tensor, to: str | None = None) -> dict[str, Tensor | None]:
    """A split's samples at ``index`` as the fields ``TO_x``, ``TO_y``, ... (default: the same split)."""
    found = {name: getattr(data, f"{split}_{name}") for name in ("x", "y", "sub", "group")}
    return {f"{to or split}_{name}": None if t is None else t[index] for name, t in found.items()}
