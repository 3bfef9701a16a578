"""The data sets that are known by name: `load` gives a `Dataset` with every sample on one device.

``digits``, ``names`` and ``watch`` are inside packages that are installed with this one and need no network.
The others are prepared once by `downloads` as ``NAME.npz`` in the data root (``root=``, or the environment
variable ``LFSSD_DATA``, or ``data`` in the user's cache folder); a ready ``.npz`` is used as is.
"""

from pathlib import Path

import torch

from ..system import device as devices
from ..system.named import unknown
from . import downloads
from .dataset import COARSE_NAMES, Dataset
from .digits import digits
from .images import from_bytes
from .show import Curves, Tokens
from .smartwatch import watch
from .surnames import names

COARSE_OF = {coarse: fine for fine, coarse in COARSE_NAMES.items()}  # the same samples with super-classes
NAMES = (
    "digits", "digits5", "names", "families", "watch", "cifar10", "cifar20", "cifar100", "olivetti", "pins"
)  # fmt: skip


def load(name: str, root: str | Path | None = None, device: str | torch.device | None = None) -> Dataset:
    """Loads a data set by name onto ``device`` (default: the best there is).

    ======== ========================= ============== ============= ================================
    name     classes (super)           samples        train / test  from
    ======== ========================= ============== ============= ================================
    digits   10 (5 look-alike)         8x8 grey       1397 / 400    scikit-learn, embedded
    names    11 languages (4 families) 16 letters     5280 / 1321   faker, embedded; grows with it
    watch    7 exercises (14 by side)  6 x 100 series 3453 / 540    seglearn, embedded
    cifar10  10                        32x32          50000 / 10000 torchvision download
    cifar100 100 (20)                  32x32          50000 / 10000 torchvision download
    olivetti 40 people                 64x64 grey     320 / 80      scikit-learn download
    pins     105 people                64x64          80 % / 20 %   your copy: ``ROOT/pins/PERSON/*.jpg``
    ======== ========================= ============== ============= ================================

    ``digits5``, ``families`` and ``cifar20`` are digits, names and cifar100 labelled by super-class.

    Raises ``ValueError`` for an unknown name or a damaged ``.npz``, ``ConnectionError`` if a
    download fails, ``FileNotFoundError`` if your copy of pins is not there.
    """
    if name not in NAMES:
        raise ValueError(unknown("data set", name, NAMES))
    device = torch.device(devices.usable(device) if device else devices.best())
    if name in COARSE_OF:
        return load(COARSE_OF[name], root, device).coarsen()
    if name in ("names", "watch"):
        return {"names": _names, "watch": _watch}[name]().to(device)
    arrays = digits() if name == "digits" else downloads.arrays(name, downloads.data_root(root))
    return Dataset(**from_bytes(name, arrays, device))


def _names() -> Dataset:
    raw = names()
    samples = (torch.from_numpy(raw[k]) for k in ("train_x", "train_y", "test_x", "test_y"))
    about = raw["classes"], raw["source"], Tokens(raw["alphabet"]), raw["parents"], raw["superclasses"]
    return Dataset("names", *samples, *about)


def _watch() -> Dataset:
    raw = watch()
    x, y, test_x, test_y = (torch.from_numpy(raw[k]) for k in ("train_x", "train_y", "test_x", "test_y"))
    finer = {k: torch.from_numpy(raw[k]) for k in ("train_sub", "test_sub", "train_group", "test_group")}
    show = Curves(raw["axes"], raw["rate"])
    return Dataset(
        "watch", x, y, test_x, test_y, raw["classes"], raw["source"], show,
        subclasses=raw["subclasses"], groups=raw["groups"], **finer,
    )  # fmt: skip
