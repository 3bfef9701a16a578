"""Images as samples: bytes or files become the normalised float32 ``[N, C, H, W]`` of a `Dataset`."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .encode import names_and_numbers, split
from .show import Images


def from_bytes(name: str, arrays: dict, device: torch.device | str = "cpu") -> dict:
    """The fields of a `Dataset` of uint8 images, normalised per channel by D's mean and standard deviation.

    arrays: ``train_images``, ``test_images`` uint8 ``[N, H, W, C]``, ``train_label``, ``test_label``,
    ``classes``, ``source``; optional ``parents``, ``superclasses``, ``train_group``, ``test_group``.
    """
    mean, std = (t.view(1, -1, 1, 1).to(device) for t in mean_and_std(arrays["train_images"]))
    found = dict(name=name, classes=tuple(arrays["classes"]), source=arrays["source"], show=Images(mean, std))
    for part in ("train", "test"):
        x = torch.from_numpy(arrays[f"{part}_images"].transpose(0, 3, 1, 2).copy()).to(device) / 255
        found[f"{part}_x"] = (x - mean) / std
        found[f"{part}_y"] = torch.from_numpy(arrays[f"{part}_label"].astype(np.int64)).to(device)
    if "parents" in arrays:
        found["parents"] = tuple(int(p) for p in arrays["parents"])
        found["superclasses"] = tuple(arrays["superclasses"])
    if "train_group" in arrays:
        both = [arrays[f"{part}_group"] for part in ("train", "test")]
        members, found["groups"] = names_and_numbers("train_group, test_group", both, None)
        found["train_group"], found["test_group"] = (each.to(device) for each in members)
    return found


def mean_and_std(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Per channel of uint8 images ``[N, H, W, C]``, in units of 0..1. Sums of integers are exact: the same
    bits on every device and with any number of threads."""
    n = images[..., 0].size
    total = images.sum((0, 1, 2), dtype=np.int64)
    squares = np.square(images, dtype=np.uint16).sum((0, 1, 2), dtype=np.int64)
    std = np.sqrt((squares - total**2 / n) / (n - 1)) / 255
    return torch.tensor(total / n / 255).float(), torch.tensor(std).float().clamp(min=1e-3)


def from_folder(
    folder: str | Path,
    *,
    size: int = 32,
    grey: bool = False,
    test: float = 0.2,
    seed: int = 0,
    group: Callable[[Path], str] | None = None,
    name: str | None = None,
    source: str | None = None,
    device: torch.device | str = "cpu",
) -> dict:
    """Images by class: ``FOLDER/CLASS/*.png`` (or jpg, ...), or ``FOLDER/train/CLASS/*`` and
    ``FOLDER/test/CLASS/*`` (or val); the fields of a `Dataset`.

    size: they are resized to size x size; grey: one channel in place of three. test: without a test folder,
    this share of every class, drawn with ``seed``. group: names whom an image comes from, given its path.
    Raises ``FileNotFoundError`` for a folder that is not there, and ``ValueError`` for one without images by
    class and for a file that cannot be read.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: give a folder that holds one folder of images a class"
        )
    others = [name for name in ("test", "val", "valid", "validation") if (folder / name).is_dir()]
    ready = (folder / "train").is_dir()
    if ready and not others:
        raise ValueError(
            f"{folder} holds train/ but no test/ (or val/): add one, or give the folder of the classes"
        )
    found = [read_folder(folder / part, size, grey) for part in ("train", others[0])] if ready else None
    if found:
        if found[0][2] != found[1][2]:
            raise ValueError(f"{folder}: classes of train {found[0][2]} and test {found[1][2]} differ")
        (train, y, classes, paths), (other, other_y, _, other_paths) = found
    else:
        every, labels, classes, files = read_folder(folder, size, grey)
        check_two_each(folder, labels, classes)
        index = split(labels, test, seed)
        (train, other), (y, other_y) = ([of[i] for i in index] for of in (every, labels))
        paths, other_paths = ([files[k] for k in i] for i in index)
    arrays = dict(
        train_images=train, train_label=y, test_images=other, test_label=other_y, classes=classes,
        source=source or f"images in {folder.name} at {size}x{size}",
    )  # fmt: skip
    if group:
        arrays |= dict(train_group=[*map(group, paths)], test_group=[*map(group, other_paths)])
    return from_bytes(name or folder.name, arrays, device)


def read_folder(
    folder: Path, size: int, grey: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str], list[Path]]:
    """Images ``[N, size, size, C]``, class numbers, class names and paths of ``FOLDER/CLASS/*.png`` (or jpg,
    ...). Raises ``ValueError`` naming a class without images, and a file that is none or too large."""
    from PIL import Image
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(folder), allow_empty=False)
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} holds no images by class ({error}): make one folder a class, without empty ones"
        ) from error
    mode, images = "L" if grey else "RGB", []
    for path, _ in found.samples:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as file:
                    deep = file.mode
                    image = file.convert(mode).resize((size, size))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ValueError(f"{path} is too large an image ({error}): make it smaller") from error
        except Exception as error:  # a damaged image can fail in any of a dozen ways
            raise ValueError(f"{path} cannot be read as an image ({error}): remove or replace it") from error
        if deep.startswith(("I", "F")):
            raise ValueError(
                f"{path} has more than 8 bits a channel (mode {deep}): convert it to 8 bits first"
            )
        images.append(np.asarray(image).reshape(size, size, -1))
    return np.stack(images), np.array(found.targets), found.classes, [Path(path) for path, _ in found.samples]


def check_two_each(folder: Path, labels: np.ndarray, classes: list[str]) -> None:
    """Raises ``ValueError`` naming a class whose images cannot be split into training and test images."""
    few = [name for name, n in zip(classes, np.bincount(labels), strict=True) if n < 2]
    if few:
        raise ValueError(
            f"{folder / few[0]} holds one image, and one to train on and one to test on are needed: add "
            "some, or take the folder away"
        )
