"""Image data sets as tensors: `load` gives a `Dataset` with every image on one device.

``digits`` (scikit-learn's 1,797 handwritten digits, 8x8) is embedded and needs no network. The
others are prepared once by `sources` as ``NAME.npz`` in the data root (``root=``, or the
environment variable ``LFSSD_DATA``, or ``~/.cache/lfssd_nb/data``); a ready ``.npz`` is used as is.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from . import device as devices
from . import sources

NAMES = ("digits", "digits5", "cifar10", "cifar20", "cifar100", "olivetti", "pins")
COARSE_OF = {"digits5": "digits", "cifar20": "cifar100"}  # the same images with super-classes
LOOK_ALIKES = ("0/8", "1/7", "2/6", "3/5", "4/9")


@dataclass(frozen=True)
class Dataset:
    """Training set D and test set, with a class tree of one or two levels.

    ``train_x``, ``test_x``: float32 ``[N, C, H, W]``, normalised per channel by D's mean and
    standard deviation. ``train_y``, ``test_y``: int64 ``[N]``, the labels to train on, named by
    ``classes``. ``parents[c]`` is the super-class of class c (None if there are none). After
    `coarsen`, ``train_sub``/``test_sub`` hold the finer labels that the network never sees.
    ``source``: where the images come from, to be said beside every figure.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    source: str
    mean: Tensor
    std: Tensor
    parents: tuple[int, ...] | None = None
    superclasses: tuple[str, ...] | None = None
    train_sub: Tensor | None = None
    test_sub: Tensor | None = None
    subclasses: tuple[str, ...] | None = None

    @property
    def channels(self) -> int:
        return self.train_x.shape[1]

    @property
    def device(self) -> torch.device:
        return self.train_x.device

    def images(self, x: Tensor) -> Tensor:
        """Undoes the normalisation: values in 0..1, ``[N, H, W, C]`` on the CPU, for plotting."""
        return (x * self.std + self.mean).clamp(0, 1).permute(0, 2, 3, 1).cpu()

    def coarsen(self) -> "Dataset":
        """The same images labelled by super-class, the former classes as sub-classes."""
        if self.parents is None:
            raise ValueError(f"data set {self.name!r} has no super-classes; use digits or cifar100")
        parents = torch.tensor(self.parents, device=self.device)
        name = next((k for k, v in COARSE_OF.items() if v == self.name), self.name)
        return replace(
            self,
            name=name,
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
        """A stratified sample of n training images, and of the test set in the same proportion.

        The images stay as they are normalised. Raises ``ValueError`` unless 0 < n <= N.
        """
        total = len(self.train_y)
        if not 0 < n <= total:
            raise ValueError(f"subset of {n} images is not possible: {self.name!r} has {total}")
        n_classes = len(self.subclasses or self.classes)
        if n < n_classes:
            raise ValueError(f"a subset of {n} images cannot hold all {n_classes} classes; take more")
        if n == total:
            return self
        parts = {}
        for split, size in (("train", n), ("test", max(1, round(n * len(self.test_y) / total)))):
            x, y, sub = (getattr(self, f"{split}_{k}") for k in ("x", "y", "sub"))
            keep = _stratified(y if sub is None else sub, size, torch.Generator().manual_seed(seed))
            parts |= {f"{split}_x": x[keep], f"{split}_y": y[keep]}
            parts |= {f"{split}_sub": None if sub is None else sub[keep]}
        return replace(self, source=f"{self.source}; {n} of {total} training images", **parts)


def data_root(root: str | Path | None = None) -> Path:
    """``root``, else ``$LFSSD_DATA``, else ``~/.cache/lfssd_nb/data``."""
    fallback = Path.home() / ".cache" / "lfssd_nb" / "data"
    return Path(root or os.environ.get("LFSSD_DATA") or fallback).expanduser()


def load(name: str, root: str | Path | None = None, device: str | torch.device | None = None) -> Dataset:
    """Loads a data set by name onto ``device`` (default: the best there is).

    ======== ====================== ========= ============= ================================
    name     classes (super)        images    train / test  from
    ======== ====================== ========= ============= ================================
    digits   10 (5 look-alike)      8x8 grey  1397 / 400    scikit-learn, embedded
    cifar10  10                     32x32     50000 / 10000 torchvision download
    cifar100 100 (20)               32x32     50000 / 10000 torchvision download
    olivetti 40 people              64x64 grey 320 / 80     scikit-learn download
    pins     105 people             64x64     80 % / 20 %   your copy: ROOT/pins/PERSON/*.jpg
    ======== ====================== ========= ============= ================================

    ``digits5`` and ``cifar20`` are digits and cifar100 labelled by super-class.

    Raises ``ValueError`` for an unknown name or a damaged ``.npz``, ``ConnectionError`` if a
    download fails, ``FileNotFoundError`` if your copy of pins is not there.
    """
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(NAMES)}")
    device = torch.device(usable(device) if device else devices.best())
    if name in COARSE_OF:
        return load(COARSE_OF[name], root, device).coarsen()
    arrays = _digits() if name == "digits" else sources.arrays(name, data_root(root))
    return _to_dataset(name, arrays, device)


def usable(device: str | torch.device) -> str | torch.device:
    """The device itself. Raises ``ValueError`` for one that is not there."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {str(device)!r} cannot be used here ({error}); try 'cpu'") from error
    return device


def _stratified(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n positions (in order) with every class in its share, to within one sample."""
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    counts = torch.bincount(labels)
    by_class = order[labels[order].argsort(stable=True)]  # every class as one run, shuffled inside
    starts = (counts.cumsum(0) - counts)[labels[by_class]]
    turn = torch.arange(len(labels), device=labels.device) - starts  # 0, 1, ... within the class
    return by_class[((turn + 0.5) / counts[labels[by_class]]).argsort(stable=True)[:n]].sort().values


def _digits() -> dict:
    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[..., None]
    train, test = train_test_split(np.arange(len(images)), test_size=400, random_state=0, stratify=raw.target)
    parents = [0, 1, 2, 3, 4, 3, 2, 1, 0, 4]  # index into LOOK_ALIKES
    return dict(
        train_images=images[train], train_label=raw.target[train],
        test_images=images[test], test_label=raw.target[test],
        classes=[str(k) for k in range(10)], parents=parents, superclasses=LOOK_ALIKES,
        source="scikit-learn handwritten digits",
    )  # fmt: skip


def _mean_and_std(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Per channel of uint8 images ``[N, H, W, C]``, in units of 0..1. Sums of integers are exact: the same
    bits on every device and with any number of threads."""
    n = images[..., 0].size
    total = images.sum((0, 1, 2), dtype=np.int64)
    squares = np.square(images, dtype=np.uint16).sum((0, 1, 2), dtype=np.int64)
    std = np.sqrt((squares - total**2 / n) / (n - 1)) / 255
    return torch.tensor(total / n / 255).float(), torch.tensor(std).float().clamp(min=1e-3)


def _to_dataset(name: str, arrays: dict, device: torch.device) -> Dataset:
    x = {
        split: torch.from_numpy(arrays[f"{split}_images"].transpose(0, 3, 1, 2).copy()).to(device) / 255
        for split in ("train", "test")
    }
    mean, std = (t.view(1, -1, 1, 1).to(device) for t in _mean_and_std(arrays["train_images"]))
    y = {
        split: torch.from_numpy(arrays[f"{split}_label"].astype(np.int64)).to(device)
        for split in ("train", "test")
    }
    parents, superclasses = arrays.get("parents"), arrays.get("superclasses")
    return Dataset(
        name, (x["train"] - mean) / std, y["train"], (x["test"] - mean) / std, y["test"],
        tuple(arrays["classes"]), arrays["source"], mean, std,
        None if parents is None else tuple(int(p) for p in parents),
        None if superclasses is None else tuple(superclasses),
    )  # fmt: skip
