"""One data set of images as one ``NAME.npz``: what its arrays must be, looked at before they are used.

``train_images``/``test_images`` uint8 ``[N, H, W, C]``; ``train_label``/``test_label`` ``[N]`` (for cifar100
``train_fine``, ``train_coarse``, ...); ``names``, a JSON object of lists of class names; ``source``, a
sentence (absent in files made by others).
"""

import json
from pathlib import Path

import numpy as np

AGAIN = "delete it, and it is downloaded or prepared again"


def read(path: Path, name: str) -> dict:
    """What `images.from_bytes` takes. Pickled objects are not read.

    Raises ``OSError`` if the file cannot be read at all, and ``ValueError`` if it is damaged, or naming what
    is not as above and what is wanted.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise OSError(
            error.errno, f"{path} cannot be read ({error.strerror}): check what it is, and its permissions"
        ) from error
    try:
        with file, np.load(file, allow_pickle=False) as archive:
            raw = {key: archive[key] for key in archive.files}
    except Exception as error:  # a damaged archive can fail in any of a dozen ways
        raise ValueError(f"{path} is damaged or incomplete ({error}); {AGAIN}") from error
    try:
        return _checked(raw, name, path)
    except ValueError as error:
        raise ValueError(
            f"{path} does not hold {name} as it should: {error}. Correct it, or {AGAIN}"
        ) from error


def _checked(raw: dict[str, np.ndarray], name: str, path: Path) -> dict:
    kinds = ("fine", "coarse") if name == "cifar100" else ("label",)
    wanted = ["names", *(f"{split}_{k}" for split in ("train", "test") for k in ("images", *kinds))]
    if missing := [key for key in wanted if key not in raw]:
        raise ValueError(f"{missing[0]} is missing, it holds {', '.join(raw) or 'nothing'}")
    names = _names(raw["names"], kinds)
    shapes = {}
    for split in ("train", "test"):
        shapes[split] = _image_shape(f"{split}_images", raw[f"{split}_images"])
        for kind in kinds:
            _check_labels(f"{split}_{kind}", raw[f"{split}_{kind}"], len(raw[f"{split}_images"]), names[kind])
    if shapes["train"] != shapes["test"]:
        raise ValueError(f"train_images are {shapes['train']} and test_images {shapes['test']}: one size")
    found = {"classes": names[kinds[0]]}
    found["source"] = str(raw["source"]) if "source" in raw else f"{path.name} (origin not recorded)"
    for split in ("train", "test"):
        found |= {f"{split}_images": raw[f"{split}_images"], f"{split}_label": raw[f"{split}_{kinds[0]}"]}
    if len(kinds) > 1:
        found |= {"parents": _parents(raw, names), "superclasses": names["coarse"]}
    return found


def _names(text: np.ndarray, kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """The lists of class names, of different texts."""
    wanted = f"a JSON object with a list of class names for {' and '.join(kinds)}"
    try:
        names = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"names is {str(text)!r:.60} ({error}), wanted {wanted}") from error
    for kind in kinds:
        given = names.get(kind) if isinstance(names, dict) else None
        if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
            raise ValueError(f"names is {str(text)!r:.60}, wanted {wanted}")
        if twice := [each for each in given if given.count(each) > 1]:
            raise ValueError(f"names has {twice[0]!r} twice for {kind}, each class needs a name of its own")
    return names


def _image_shape(key: str, images: np.ndarray) -> tuple[int, int, int]:
    wanted = "wanted uint8 [N, height, width, 1 or 3], bytes 0 to 255 with the channels last"
    found = f"{key} is {images.dtype}{list(images.shape)}"
    if images.dtype != np.uint8:
        real = images.size and images.dtype.kind in "iuf"
        span = (
            f" from {np.nanmin(images)} to {np.nanmax(images)}" if real and not np.isnan(images).all() else ""
        )
        bad = int(np.isnan(images).sum()) if images.dtype.kind == "f" else 0
        raise ValueError(f"{found}{span}{f' with {bad} NaN' if bad else ''}, {wanted}")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3)
        raise ValueError(f"{found}, {wanted}{': images.transpose(0, 2, 3, 1)' if first else ''}")
    return images.shape[1:]


def _check_labels(key: str, labels: np.ndarray, n: int, names: list[str]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{key} is {labels.dtype}{list(labels.shape)}, wanted whole numbers [N]")
    if len(labels) != n:
        raise ValueError(f"there are {len(labels)} labels in {key} for {n} images, wanted one each")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"{key} holds labels {labels.min()} to {labels.max()} for {len(names)} class names, wanted 0 to "
            f"{len(names) - 1}"
        )


def _parents(raw: dict[str, np.ndarray], names: dict[str, list[str]]) -> list[int]:
    """The super-class of each fine class: the same for all its images, in both sets."""
    fine, coarse = (np.concatenate([raw[f"{s}_{k}"] for s in ("train", "test")]) for k in ("fine", "coarse"))
    parents = []
    for k, name in enumerate(names["fine"]):
        above = np.unique(coarse[fine == k])
        if len(above) != 1:
            listed = ", ".join(names["coarse"][p] for p in above) or "none, as it has no image"
            raise ValueError(f"fine class {name!r} is in the super-classes {listed}, wanted one and the same")
        parents.append(int(above[0]))
    return parents
