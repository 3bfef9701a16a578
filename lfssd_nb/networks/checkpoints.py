"""Trained networks as files to share: NAME.safetensors with the tensors, NAME.json with what they are.

>>> save("rocket", model, architecture, data, half=True)    # half the size
>>> model, about = load("rocket", data)                     # verified, no pickled code, no download
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from .. import __version__
from ..data.dataset import Dataset
from ..data.show import Images, Rows, Tokens
from ..system import files, leftovers
from ..system.named import built_in
from . import sealed, state
from .architecture import NETWORKS, Architecture, Build, describe
from .architecture import build as build_network
from .tokens import n_tokens


def save(
    path: str | Path,
    model: nn.Module,
    architecture: Build,
    data: Dataset,
    about: dict | None = None,
    half: bool = False,
) -> Path:
    """Writes both files, each whole or not at all, and returns the path of the tensors.

    A full disk leaves an older pair as it was; after a kill between the two renames `load` refuses them.
    half: floating tensors in float16, integer buffers as they are. about: anything that JSON can hold.
    Raises ``ValueError`` for a tensor that is not finite (in float16) or, without ``half``, not float32;
    ``OSError`` as in `files.write`.
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
        architecture=describe(architecture), data=_shape(data), source=data.source, half=half,
        dtype="float16" if half else "float32", lfssd_nb=__version__, torch=torch.__version__,
        about=about or {}, sha256=files.digest(tensors),
    )  # fmt: skip
    settings = json.loads(json.dumps(settings))  # as `load` will see them: lists, and keys that are strings
    settings["seal"] = _seal(settings)
    tensors_at, settings_at = _files(path)
    ready = leftovers.beside(settings_at)
    try:  # all that needs space comes before the first rename
        files.write(ready, json.dumps(settings, indent=1).encode())
        files.save(tensors_at, tensors, {})
        os.replace(ready, settings_at)
    finally:
        ready.unlink(missing_ok=True)
    return tensors_at


def load(
    path: str | Path,
    data: Dataset | None = None,
    device: str | torch.device | None = None,
    build: Callable[[Dataset], nn.Module] | None = None,
) -> tuple[nn.Module, dict]:
    """The model, float32 and in eval mode on ``device`` (default: that of ``data``, else the CPU); settings.

    data: what it is to be used on; it must have the classes, samples and normalisation that the network was
    trained with. build: the function that builds a network of your own.
    Raises ``FileNotFoundError``, `files.CorruptFile` if a byte of either file has changed, the two do not
    belong together, the settings are none of `save`, or the tensors do not fit them (before memory is taken
    for them); ``ValueError`` if ``data`` do not fit.
    """
    tensors_at, settings_at = _files(path)
    if not settings_at.exists():
        raise FileNotFoundError(f"{settings_at} does not exist: a checkpoint is two files, copy both")
    tensors, _ = files.load(tensors_at)
    try:
        settings = json.loads(settings_at.read_text())
        unchanged = settings.pop("seal") == _seal(settings)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise files.CorruptFile(f"{settings_at} is damaged ({error}); copy or make it again") from error
    if not unchanged:
        raise files.CorruptFile(f"{settings_at} is damaged (its checksum differs); copy or make it again")
    sealed.check(settings, settings_at)
    if settings["sha256"] != files.digest(tensors):
        raise files.CorruptFile(
            f"{settings_at.name} describes other tensors than those of {tensors_at}: copy or save both again"
        )
    if data is not None:
        _check(settings["data"], _shape(data), tensors_at)
    _check_shapes(settings, tensors, build, tensors_at)
    model = _empty(settings["architecture"], settings["data"], build, tensors_at)
    state.load(model, tensors, tensors_at, str(settings["architecture"]))
    return model.to(device or (data.device if data else "cpu")).eval(), settings


def _files(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    path = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def _seal(settings: dict) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _shape(data: Dataset) -> dict:
    """What a network must know about its data, as JSON gives it back."""
    found = dict(name=data.name, classes=list(data.classes))
    if isinstance(data.show, Images):
        channels, size = data.train_x.shape[1:3]
        normalisation = {
            k: [round(v, 5) for v in getattr(data.show, k).flatten().tolist()] for k in ("mean", "std")
        }
        return found | dict(channels=channels, size=size) | normalisation
    found |= dict(shape=list(data.train_x.shape[1:]), dtype=str(data.train_x.dtype))
    if not data.train_x.is_floating_point():
        found["tokens"] = n_tokens(data, "a network")
    return found


def _check(stored: dict, given: dict, path: Path) -> None:
    for key in dict.fromkeys([*stored, *given]):
        a, b = stored.get(key), given.get(key)
        same = a == b or key == "name"
        if key in ("mean", "std") and a and b and len(a) == len(b):  # the last digits differ between devices
            same = all(abs(p - q) < 1e-4 for p, q in zip(a, b, strict=True))
        if not same:
            raise ValueError(
                f"{path} was trained on {stored['name']!r} with {key} {a}, and {given['name']!r} "
                f"has {b}: load the data set that it belongs to, or pass data=None"
            )


def _check_shapes(settings: dict, tensors: dict, build: Callable | None, path: Path) -> None:
    """Compares the tensors with a network of the package that takes no memory, before one is built."""
    net = settings["architecture"]
    if build is not None or net["width"] is None:
        return
    try:
        architecture = Architecture(**net)
        make = NETWORKS[architecture.name].build
        if not built_in(make):
            return
        blank = _blank(settings["data"])
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            made = make(blank, architecture.width, architecture.size, False)
    except Exception as error:  # whatever sizes that do not go together lead to
        raise files.CorruptFile(f"{path}: no network can be built as it says, {net} ({error})") from error
    state.check(made.state_dict(), tensors, path, str(net))


def _blank(data: dict) -> Dataset:
    """One sample of zeros, which take the memory of one number, for the settings of a data set."""
    of, dtype = data.get("shape"), getattr(torch, data.get("dtype", "torch.float32").partition(".")[2])
    of = [data["channels"], data["size"], data["size"]] if of is None else of
    x, y = torch.zeros((), dtype=dtype).expand(1, *of), torch.zeros(1, dtype=torch.int64)
    show = Tokens(("",) * data["tokens"]) if "tokens" in data else Rows()
    return Dataset("", x, y, x, y, tuple(data["classes"]), "", show)


def _empty(shape: dict, data: dict, build: Callable | None = None, path: Path | str = "") -> nn.Module:
    """An untrained network for the settings of a data set; ViT-B/16 without downloading its weights."""
    if shape["width"] is None and build is None:  # no registered network is without one
        raise ValueError(
            f"{path} holds a network of your own, {shape['name']}: pass the function that builds it, build="
        )
    return build_network(build or Architecture(**shape), _blank(data), pretrained=False)
