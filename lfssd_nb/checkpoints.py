"""Trained networks as files to share: NAME.safetensors with the tensors, NAME.json with what they are.

>>> save("rocket", model, architecture, data, half=True)    # half the size
>>> model, about = load("rocket", data)                     # verified, no pickled code, no download
"""

import hashlib
import json
import os
import uuid
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from . import __version__, models, store
from .data import Dataset
from .models import Architecture


def save(
    path: str | Path,
    model: nn.Module,
    architecture: Architecture,
    data: Dataset,
    about: dict | None = None,
    half: bool = False,
) -> Path:
    """Writes both files, each whole or not at all, and returns the path of the tensors.

    A full disk leaves an older pair as it was; after a kill between the two renames `load` refuses them.
    half: floating tensors in float16, integer buffers as they are. about: anything that JSON can hold.
    Raises ``ValueError`` for a tensor that is not finite (in float16) or, without ``half``, not float32;
    ``OSError`` as in `store.write`.
    """
    tensors = dict(model.state_dict())
    for name, value in tensors.items():
        if half and value.is_floating_point():
            tensors[name] = value.half()
        elif value.is_floating_point() and value.dtype != torch.float32:  # `load` would round float64
            raise ValueError(f"{name} is {value.dtype}, checkpoints hold float32: call model.float() first")
        if not torch.isfinite(tensors[name]).all():
            hint = "; half=False keeps its range" if torch.isfinite(value).all() else ""
            raise ValueError(f"{name} is not finite{' in float16' if hint else ''}{hint}")
    settings = dict(
        architecture=asdict(architecture), data=_shape(data), source=data.source, half=half,
        dtype="float16" if half else "float32", lfssd_nb=__version__, torch=torch.__version__,
        about=about or {}, sha256=store.digest(tensors),
    )  # fmt: skip
    settings = json.loads(json.dumps(settings))  # as `load` will see them: lists, and keys that are strings
    settings["seal"] = _seal(settings)
    tensors_at, settings_at = _files(path)
    ready = settings_at.with_name(f"{settings_at.name}.{uuid.uuid4().hex[:8]}.new")
    try:  # all that needs space comes before the first rename
        store.write(ready, json.dumps(settings, indent=1).encode())
        store.save(tensors_at, tensors, {})
        os.replace(ready, settings_at)
    finally:
        ready.unlink(missing_ok=True)
    return tensors_at


def load(
    path: str | Path, data: Dataset | None = None, device: str | torch.device | None = None
) -> tuple[nn.Module, dict]:
    """The model, float32 and in eval mode on ``device`` (default: that of ``data``, else the CPU); settings.

    data: what it is to be used on; it must have the classes, images and normalisation that the network was
    trained with. Raises ``FileNotFoundError``, `store.CorruptFile` if a byte of either file has changed or
    the two do not belong together, ``ValueError`` if the tensors or ``data`` do not fit the settings.
    """
    tensors_at, settings_at = _files(path)
    if not settings_at.exists():
        raise FileNotFoundError(f"{settings_at} does not exist: a checkpoint is two files, copy both")
    tensors, _ = store.load(tensors_at)
    try:
        settings = json.loads(settings_at.read_text())
        sealed = settings.pop("seal") == _seal(settings)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise store.CorruptFile(f"{settings_at} is damaged ({error}); copy or make it again") from error
    if not sealed:
        raise store.CorruptFile(f"{settings_at} is damaged (its checksum differs); copy or make it again")
    if settings["sha256"] != store.digest(tensors):
        raise store.CorruptFile(
            f"{settings_at.name} describes other tensors than those of {tensors_at}: copy or save both again"
        )
    if data is not None:
        _check(settings["data"], _shape(data), tensors_at)
    model = _empty(Architecture(**settings["architecture"]), settings["data"])
    wanted = model.state_dict()
    for name in [*wanted, *tensors]:
        there = [tuple(each[name].shape) if name in each else "missing" for each in (wanted, tensors)]
        if there[0] != there[1]:
            raise ValueError(
                f"{tensors_at} does not hold a {settings['architecture']}: {name} is {there[0]} in the "
                f"network and {there[1]} in the file; save it with the architecture that it has"
            )
    model.load_state_dict({name: value.to(wanted[name].dtype) for name, value in tensors.items()})
    return model.to(device or (data.device if data else "cpu")).eval(), settings


def _files(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    path = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def _seal(settings: dict) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _shape(data: Dataset) -> dict:
    """What a network must know about its data, as JSON gives it back."""
    normalisation = {k: [round(v, 5) for v in getattr(data, k).flatten().tolist()] for k in ("mean", "std")}
    size = data.train_x.shape[-1]
    return dict(name=data.name, classes=list(data.classes), channels=data.channels, size=size) | normalisation


def _check(stored: dict, given: dict, path: Path) -> None:
    for key in ("classes", "channels", "size", "mean", "std"):
        same = stored[key] == given[key]
        if key in ("mean", "std"):  # the last digits differ between devices
            same = all(abs(a - b) < 1e-4 for a, b in zip(stored[key], given[key], strict=True))
        if not same:
            raise ValueError(
                f"{path} was trained on {stored['name']!r} with {key} {stored[key]}, and {given['name']!r} "
                f"has {given[key]}: load the data set that it belongs to, or pass data=None"
            )


def _empty(architecture: Architecture, data: dict) -> nn.Module:
    """An untrained network for the settings of a data set; ViT-B/16 without downloading its weights."""
    x, y = torch.empty(0, data["channels"], data["size"], data["size"]), torch.empty(0, dtype=torch.int64)
    blank = Dataset("", x, y, x, y, tuple(data["classes"]), "", torch.zeros(()), torch.ones(()))
    return models.build(architecture, blank, pretrained=False)
