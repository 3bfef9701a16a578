"""Where the images that are not embedded come from: one ``NAME.npz`` per set in the data root.

A ready ``.npz`` is used as it is; otherwise the set is downloaded (torchvision, scikit-learn) or
read from your own image folder (pins) once, and written as one ``.npz``. Its arrays:
``train_images``/``test_images`` uint8 ``[N, H, W, C]``; ``train_label``/``test_label`` (for
cifar100 ``train_fine``, ``train_coarse``, ...); ``names``, a JSON object of lists of class names;
``source``, a sentence (absent in files made by others).
"""

import io
import json
import pickle
from pathlib import Path

import numpy as np

from ..system import files, places
from .encode import split


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
    return _read(path, name)


def _read(path: Path, name: str) -> dict:
    label = "fine" if name == "cifar100" else "label"
    remedy = "delete it, and it is downloaded or prepared again"
    try:
        with np.load(path, allow_pickle=False) as file:
            raw = {key: file[key] for key in file.files}
        names = json.loads(str(raw["names"]))
        found = {
            "classes": names[label],
            "source": str(raw.get("source", f"{path.name} (origin not recorded)")),
        }
        for split in ("train", "test"):
            found[f"{split}_images"] = images = raw[f"{split}_images"]
            found[f"{split}_label"] = labels = raw[f"{split}_{label}"]
            if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
                raise ValueError(f"{split}_images {images.dtype}{images.shape}, {len(labels)} labels")
            if labels.ndim != 1 or labels.dtype.kind not in "iu":
                raise ValueError(f"{split} labels {labels.dtype}{labels.shape} are no list of class numbers")
            if labels.min() < 0 or labels.max() >= len(found["classes"]):
                raise ValueError(
                    f"labels {labels.min()} to {labels.max()} for {len(found['classes'])} class names"
                )
        if name == "cifar100":
            tree = dict(zip(raw["train_fine"].tolist(), raw["train_coarse"].tolist(), strict=True))
            found["parents"] = [tree[k] for k in range(len(tree))]
            found["superclasses"] = names["coarse"]
    except Exception as error:  # a damaged archive can fail in any of a dozen ways
        raise ValueError(f"{path} is damaged or incomplete ({error}); {remedy}") from error
    return found


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
                rows = pickle.loads((folder / split).read_bytes(), encoding="latin1")
                meta = pickle.loads((folder / "meta").read_bytes(), encoding="latin1")
                out[f"{split}_fine"] = np.array(rows["fine_labels"])
                out[f"{split}_coarse"] = np.array(rows["coarse_labels"])
                names = {"fine": meta["fine_label_names"], "coarse": meta["coarse_label_names"]}
    except (OSError, RuntimeError) as error:
        raise _offline(name, error) from error
    return out | {"names": json.dumps(names)}


def _olivetti(root: Path) -> dict:
    from sklearn.datasets import fetch_olivetti_faces

    try:
        faces = fetch_olivetti_faces(data_home=root / "sklearn")
    except OSError as error:
        raise _offline("olivetti", error) from error
    images = np.round(faces.images * 255).astype(np.uint8)[..., None]
    names = [f"person {k}" for k in range(faces.target.max() + 1)]
    return _split(images, faces.target, names, "Olivetti faces (scikit-learn, AT&T Cambridge)")


def _pins(root: Path, size: int = 64) -> dict:
    from torchvision.datasets import ImageFolder

    folder = root / "pins"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: PinsFaceRecognition cannot be downloaded by a program. Unpack "
            "your copy so that it holds one folder of images per person"
        )
    found = ImageFolder(str(folder))
    images = np.stack([np.asarray(image.convert("RGB").resize((size, size))) for image, _ in found])
    return _split(images, np.array(found.targets), found.classes, f"PinsFaceRecognition at {size}x{size}")


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
