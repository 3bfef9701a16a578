"""Where the images that are not embedded come from: one ``NAME.npz`` per set in the data root.

A ready ``.npz`` is used as it is, see `npz`; otherwise the set is downloaded (torchvision, scikit-learn) or
read from your own image folder (pins) once, and written as one ``.npz``.

What was downloaded is a pickle, which could run any program when it is read. So it is read only where its
checksum is the published one (CIFAR: torchvision looks at every file), where it comes from a download into
an empty folder (Olivetti: scikit-learn looks at it), or by `arrays_only`, which builds arrays and no more.
"""

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..system import files, places
from . import npz
from .arrays_only import read_joblib, read_pickle
from .encode import split
from .images import check_two_each, read_folder


def arrays(name: str, root: Path) -> dict:
    """Arrays of ``cifar10``, ``cifar100``, ``olivetti`` or ``pins``, as `data.load` needs them.

    Raises ``ValueError`` if ROOT/NAME.npz is damaged or incomplete, ``ConnectionError`` if it has
    to be downloaded and cannot be, ``FileNotFoundError`` for pins without an image folder.
    """
    path = root / f"{name}.npz"
    if not path.exists():
        prepared = _PREPARE[name](root)
        buffer = io.BytesIO()
        np.savez(buffer, **prepared)
        files.write(path, buffer.getvalue())
    return npz.read(path, name)


def _offline(name: str, error: Exception) -> ConnectionError:
    return ConnectionError(
        f"{name} could not be downloaded ({error}); connect to the network once, or put a ready "
        f"{name}.npz into the data root (LFSSD_DATA). The embedded set 'digits' needs no network"
    )


def _cifar(name: str, root: Path) -> dict:
    from torchvision import datasets

    cls = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    out, names = {"source": f"{name} (torchvision download)"}, {}
    try:
        for split in ("train", "test"):
            found = cls(root / "downloads", train=split == "train", download=True)
            out[f"{split}_images"] = found.data
            if name == "cifar10":
                out[f"{split}_label"], names["label"] = np.array(found.targets), found.classes
            else:  # torchvision reads the fine labels only; the coarse ones lie in the same file
                folder = Path(found.root) / found.base_folder
                rows, meta = (read_pickle(folder / part) for part in (split, "meta"))
                out[f"{split}_fine"] = np.array(rows["fine_labels"])
                out[f"{split}_coarse"] = np.array(rows["coarse_labels"])
                names = {"fine": meta["fine_label_names"], "coarse": meta["coarse_label_names"]}
    except (OSError, RuntimeError) as error:
        raise _offline(name, error) from error
    return out | {"names": json.dumps(names)}


def _olivetti(root: Path) -> dict:
    from sklearn.datasets import fetch_olivetti_faces

    kept = root / "sklearn" / "olivetti_py3.pkz"  # of an older version, or scikit-learn's own data_home
    if kept.exists():
        images = _faces(read_joblib(kept), kept)
    else:
        try:
            with TemporaryDirectory() as empty:
                images = fetch_olivetti_faces(data_home=empty).images
        except OSError as error:
            raise _offline("olivetti", error) from error
    images = np.round(images * 255).astype(np.uint8)[..., None]
    owner = np.arange(len(images)) // 10
    names = [f"person {k}" for k in range(owner.max() + 1)]
    return _split(images, owner, names, "Olivetti faces (scikit-learn, AT&T Cambridge)")


def _faces(raw: np.ndarray, path: Path) -> np.ndarray:
    """scikit-learn's images, float32 ``[400, 64, 64]`` in 0..1, from the array that it keeps."""
    numbers = raw.size == 400 * 64 * 64 and raw.dtype.kind in "uif"
    if not numbers or not np.isfinite(raw).all() or raw.min() == raw.max():
        raise ValueError(
            f"{path} holds {raw.dtype}{list(raw.shape)}, not the 400 faces of 64 x 64: delete it, and they "
            "are downloaded again"
        )
    faces = np.float32(raw.T if len(raw) == 64 * 64 else raw)  # some keep a face a column
    faces = faces - faces.min()
    faces /= faces.max()
    return faces.reshape((400, 64, 64)).transpose(0, 2, 1)


def _pins(root: Path, size: int = 64) -> dict:
    folder = root / "pins"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: PinsFaceRecognition cannot be downloaded by a program. Unpack "
            "your copy so that it holds one folder of images per person"
        )
    images, labels, people, _ = read_folder(folder, size)
    check_two_each(folder, labels, people)
    return _split(images, labels, people, f"PinsFaceRecognition at {size}x{size}")


def _split(images: np.ndarray, labels: np.ndarray, names: list[str], source: str) -> dict:
    """A seeded split, 80 % train and 20 % test of every class."""
    train, test = split(labels, 0.2, seed=0)
    return dict(
        train_images=images[train], train_label=labels[train],
        test_images=images[test], test_label=labels[test],
        names=json.dumps({"label": names}), source=source,
    )  # fmt: skip


_PREPARE = {
    "cifar10": lambda root: _cifar("cifar10", root),
    "cifar100": lambda root: _cifar("cifar100", root),
    "olivetti": _olivetti,
    "pins": _pins,
}


def data_root(root: str | Path | None = None) -> Path:
    """``root``, else ``$LFSSD_DATA``, else ``data`` in the user's cache folder, see `places.folder`."""
    return places.folder("LFSSD_DATA", "data", root)
