"""Smartwatch recordings as windows of two seconds: which exercise does the arm do?

Ten people (the groups) did seven exercises of shoulder physiotherapy (the classes) with the left and with the
right arm (class and side: the sub-class), 140 recordings of about half a minute at 50 Hz. Six axes:
acceleration ax, ay, az and angular velocity wx, wy, wz; the package does not say in which units. Training
windows (half of one overlaps the next) come from the first three quarters of every recording, test windows
from the rest, so that no sample is in both. PEN is the pendulum, ABD abduction, FEL forward elevation,
IR and ER internal and external rotation, TRAP trapezius extension, ROW upright row.

Source: the package seglearn (BSD license); Burns et al. 2018 (1802.01489). Its file is a pickle, which could
run any program when it is read: `read` builds numpy arrays and nothing else.
"""

import io
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .arrays_only import ArraysOnly

LENGTH = 100  # samples a window
TRAIN_SHARE = 0.75
SIDES = ("left", "right")


def watch() -> dict:
    """The windows as arrays; each of these also as ``test_...``:

    ``train_x`` float32 ``[N, 6, LENGTH]``, normalised per axis by ``mean`` and ``std`` ``[1, 6, 1]`` of the
    training windows; ``train_y`` index into ``classes``, ``train_sub`` into ``subclasses`` and
    ``train_group`` into ``groups``. ``parents_of_sub[s]`` is the class of sub-class s. ``rate`` is in Hz.

    Raises ``FileNotFoundError`` without seglearn and ``ValueError`` if its file is not as expected.
    """
    raw = read(_file())
    exercises, subjects = tuple(raw["y_labels"]), np.unique(raw["subject"])
    label = {"y": raw["y"].astype(np.int64), "group": np.searchsorted(subjects, raw["subject"])}
    label["sub"] = 2 * label["y"] + raw["side"].astype(np.int64)
    out = {}
    for split in ("train", "test"):
        parts = [windows(recording, starts(len(recording), split)) for recording in raw["X"]]
        which = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        out[f"{split}_x"] = np.concatenate(parts)
        out |= {f"{split}_{key}": values[which] for key, values in label.items()}
    mean, std = (f(out["train_x"], axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
    for split in ("train", "test"):
        out[f"{split}_x"] = ((out[f"{split}_x"] - mean) / std).astype(np.float32)
    return out | dict(
        mean=mean.astype(np.float32), std=std.astype(np.float32), classes=exercises,
        subclasses=tuple(f"{name} {side}" for name in exercises for side in SIDES),
        parents_of_sub=tuple(k // 2 for k in range(2 * len(exercises))),
        groups=tuple(f"subject {k}" for k in subjects), axes=tuple(raw["X_labels"]), rate=50,
        source=f"smartwatch recordings of the package seglearn {version('seglearn')}",
    )  # fmt: skip


def starts(n: int, split: str) -> range:
    """Where the windows of a recording of n samples begin: ``"train"`` ones all end before the cut at
    `TRAIN_SHARE`, ``"test"`` ones follow each other after it."""
    cut = int(TRAIN_SHARE * n)
    return range(0, cut - LENGTH + 1, LENGTH // 2) if split == "train" else range(cut, n - LENGTH + 1, LENGTH)


def windows(recording: np.ndarray, begin: range) -> np.ndarray:
    """Cuts ``[n, axes]`` into ``[len(begin), axes, LENGTH]``."""
    rows = np.array(begin)[:, None] + np.arange(LENGTH)
    return recording[rows].transpose(0, 2, 1)


def read(path: Path) -> dict:
    """The content of seglearn's file. Raises ``ValueError`` if it is damaged or asks for more than arrays."""
    try:
        file = io.BytesIO(path.read_bytes())
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        raw = ArraysOnly(file).load().item()
        _check(raw, [recording.shape for recording in raw["X"]])
        return raw
    except Exception as error:  # a damaged pickle can fail in any of a dozen ways
        remedy = "pip install --force-reinstall seglearn==1.2.5"
        raise ValueError(f"{path} is not seglearn's watch data ({error!r}); {remedy}") from error


def _check(raw: dict, shapes: list[tuple]) -> None:
    labels = {key: len(raw[key]) for key in ("y", "side", "subject")}
    if set(labels.values()) != {len(shapes)} or {shape[1:] for shape in shapes} != {(len(raw["X_labels"]),)}:
        raise ValueError(f"recordings {shapes[:2]}... and labels {labels} do not go together")
    if (short := min(shapes)[0]) < LENGTH / (1 - TRAIN_SHARE):
        raise ValueError(f"a recording of {short} samples is too short for windows of {LENGTH}")
    if not {*raw["side"]} <= {0, 1} or not {*raw["y"]} <= {*range(len(raw["y_labels"]))}:
        raise ValueError(f"sides {set(raw['side'])} or exercises {set(raw['y'])} are not 0, 1, ...")
    if not all(np.isfinite(recording).all() for recording in raw["X"]):
        raise ValueError("a recording has values that are not finite")


def _file() -> Path:
    """seglearn's data file, found without importing the package."""
    spec = find_spec("seglearn")
    path = spec and spec.origin and Path(spec.origin).parent / "data" / "watch_dataset.npy"
    if not path or not path.is_file():
        raise FileNotFoundError("the smartwatch recordings need the package seglearn: pip install seglearn")
    return path
