"""Tensors with settings, and JSON, on disk: written whole or not at all, read only if unchanged.

Tensors are a safetensors file (no pickled code). Its metadata holds the settings as JSON and a SHA-256 of
names, types, shapes and bytes of all tensors and of the settings. JSON stands beside a SHA-256 of its bytes
and of the file's name, so that a changed, cut or renamed file is noticed.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from . import leftovers

SEAL = '{{"sha256": "{}",\n"content": '


class CorruptFile(ValueError):
    """A stored file is damaged, cannot be read, or is not one of this package's."""


def digest(tensors: dict[str, Tensor], settings: str = "") -> str:
    """SHA-256 (hex) over settings and, by name, each tensor's type, shape and bytes."""
    sha = hashlib.sha256(settings.encode())
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}{t.dtype}{tuple(t.shape)}".encode())
        sha.update(t.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def write(path: str | Path, payload: bytes) -> None:
    """Writes to a temporary file beside ``path``, then renames it: the old file survives a failure.

    Raises ``OSError`` with the path and the remedy when the disk is full or not writable.
    """
    path = Path(path).resolve()
    if path.exists() and not (path.is_file() or path.is_dir()):
        path.write_bytes(payload)  # /dev/stdout, a pipe: nothing to preserve
        return
    temporary = leftovers.beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        leftovers.removed(path.parent)
        with temporary.open("xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path} ({error.strerror}); the file that was there is untouched: "
            "free some space or choose another place (LFSSD_CACHE, LFSSD_DATA)",
        ) from error
    finally:
        with suppress(OSError):  # what it could not write for, it cannot look for either
            temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: dict | list) -> None:
    """Writes what JSON can hold (and NaN and infinities) with its checksum; see `write` for failures."""
    body = json.dumps(content, indent=1).encode()
    write(path, _sealed(path, body))


def read_json(path: str | Path) -> dict | list:
    """What `write_json` wrote, or JSON without a checksum, as in files from before there was one.

    Raises ``FileNotFoundError``, or `CorruptFile` if it is damaged or is the file of another name.
    """
    raw = Path(path).read_bytes()
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} is damaged ({error}); delete it and it is made again") from error
    if not isinstance(found, dict) or not found.keys() & {"sha256", "content"}:
        return found
    if raw != _sealed(path, raw[len(SEAL.format("0" * 64)) : -2]):
        raise CorruptFile(f"{path} is damaged (its checksum differs); delete it and it is made again")
    return found["content"]


def _sealed(path: str | Path, body: bytes) -> bytes:
    sha = hashlib.sha256(Path(path).name.encode() + b"\n" + body).hexdigest()
    return SEAL.format(sha).encode() + body + b"}\n"


def save(path: str | Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Saves tensors and a JSON-serialisable description; see `write` for failures."""
    settings = json.dumps(about, sort_keys=True)
    # safetensors refuses tensors that share memory, and channels_last ones
    tensors = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    about = {"settings": settings, "sha256": digest(tensors, settings)}
    write(path, to_bytes(tensors, about))


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict]:
    """Reads ``(tensors, about)``. Raises ``FileNotFoundError``, or `CorruptFile` if damaged."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise CorruptFile(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings = about.get("settings", "")
        if about.get("sha256") != digest(tensors, settings):
            raise ValueError("its checksum differs")
        found = json.loads(settings)
        if not isinstance(found, dict):
            raise ValueError("its settings are no JSON object")
    except (safetensors.SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} is damaged ({error}); delete it and make it again") from error
    return {k: v.to(device) for k, v in tensors.items()}, found
