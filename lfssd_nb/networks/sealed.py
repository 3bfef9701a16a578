"""What the settings of a checkpoint may say. A seal proves that nothing changed, not who wrote it: whoever
seals a file anew can write anything, so every entry that decides about a network is looked at first."""

import math
from pathlib import Path

from ..system import files

MOST = 2**24  # numbers a sample, tokens, channels: far more than any network here has
DTYPES = ("torch.float32", "torch.float64", "torch.bfloat16", "torch.float16", "torch.int64")


def check(settings: dict, path: Path) -> None:
    """Raises `files.CorruptFile` naming the first entry that `checkpoints.save` could not have written, or
    that asks for memory without end."""
    net, of = (settings.get(key) for key in ("architecture", "data"))
    _require(
        path, [("architecture", net, _table), ("data", of, _table), ("sha256", settings.get("sha256"), _text)]
    )
    rows = [
        ("architecture", sorted(net), lambda v: v == ["name", "size", "width"]),
        ("architecture name", net.get("name"), _text),
        ("width", net.get("width"), lambda v: v is None or _number(v)),
        ("size", net.get("size"), lambda v: v is None or _text(v)),
        ("data name", of.get("name"), _text),
        ("classes", of.get("classes"), _names),
    ]
    if "shape" in of:
        rows += [("shape", of["shape"], _shape), ("dtype", of.get("dtype"), lambda v: v in DTYPES)]
        rows += [("tokens", of.get("tokens", 1), _number)]
    else:
        rows += [("channels and size", [of.get("channels"), of.get("size"), of.get("size")], _shape)]
        rows += [("mean", of.get("mean"), _numbers), ("std", of.get("std"), _numbers)]
    _require(path, rows)


def _require(path: Path, rows: list) -> None:
    for name, value, sound in rows:
        if not sound(value):
            raise files.CorruptFile(
                f"{path} is no checkpoint of this package: {name} is {value!r:.80}; copy or make it again"
            )


def _table(value) -> bool:
    return isinstance(value, dict)


def _text(value) -> bool:
    return isinstance(value, str)


def _number(value) -> bool:
    return type(value) is int and 0 < value <= MOST


def _shape(value) -> bool:
    return isinstance(value, list) and all(map(_number, value)) and math.prod(value) <= MOST


def _numbers(value) -> bool:
    return isinstance(value, list) and {*map(type, value)} <= {int, float}


def _names(value) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and 0 < len(value) == len(set(value))
