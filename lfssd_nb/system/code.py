"""What code does, as a hash: of functions and classes, and of all of yours that they refer to.

Written down are the compiled instructions by name, so that comments, docstrings, layout and the names of
files do not count, and what every name in them stands for: functions and classes of yours in the same way,
values by value, what a library offers by its name. (A project of yours that is installed among the libraries,
and not with ``pip install -e``, counts as one.) Another process to which a function was sent finds the same.
"""

import dataclasses
import functools
import io
import pickle
from hashlib import sha256
from types import (
    BuiltinFunctionType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)  # fmt: skip

import torch
from torch import Tensor, nn

from . import files
from .instructions import NotHashable, instructions, own, references
from .progress import progress

NO_EFFECT = (progress,)  # called by what trains, but of no effect on what is trained
PLAIN = (
    int, float, complex, str, bytes, bool, type(None), type(...), torch.dtype, torch.device, range, slice,
)  # fmt: skip
CONTAINERS = (dict, MappingProxyType, list, tuple, set, frozenset)
NOT_CODE = {"__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__annotations__",
            "__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__",
            "__dataclass_params__", "__parameters__", "__orig_bases__", "_abc_impl",
            "__abstractmethods__", "__slotnames__"}  # fmt: skip


def code_of(*roots) -> str:
    """A hash of functions and classes, and of all that they refer to. Raises `NotHashable`."""
    seen: dict = {}
    return sha256(repr([_text(root, seen) for root in roots]).encode()).hexdigest()


def _text(value, seen: dict) -> str:
    """Everything that ``value`` is; a second mention of a function, a class or an object is its number."""
    inside = functools.partial(_text, seen=seen)
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        return f"tensor {files.digest({'value': value.detach()})}"
    if id(value) in seen:
        return f"@{seen[id(value)][0]}"
    if isinstance(value, CONTAINERS):  # what is equal is the same, be it one object or two
        seen[id(value)] = "inside", value
        text = _contents(value, inside)
        del seen[id(value)]
        return text
    number = seen[-1] = seen.get(-1, 0) + 1
    seen[id(value)] = number, value  # kept alive, so that no other object takes its id
    if isinstance(value, MethodType):
        return f"method {inside(value.__func__)} of {inside(value.__self__)}"
    if isinstance(value, functools.partial):
        return f"partial {inside(value.func)} {inside(value.args)} {inside(value.keywords)}"
    if isinstance(value, staticmethod | classmethod):
        return f"{type(value).__name__} {inside(value.__func__)}"
    if isinstance(value, dataclasses.Field):
        return f"field {value.name} {inside((value.default, value.default_factory))}"
    if isinstance(value, property):
        return f"property {inside((value.fget, value.fset, value.fdel))}"
    if isinstance(value, functools.cached_property):
        return f"cached_property {inside(value.func)}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, type):
        return _class(value, seen)
    if isinstance(value, BuiltinFunctionType) or not hasattr(type(value), "__dict__"):
        return _named(value)
    if hasattr(value, "__wrapped__"):  # lru_cache and others that are no functions
        return f"{type(value).__qualname__} of {inside(value.__wrapped__)}"
    return _object(value, seen)


def _contents(value, inside) -> str:
    if isinstance(value, dict | MappingProxyType):
        return f"{type(value).__name__}{[(inside(k), inside(v)) for k, v in value.items()]}"
    texts = [inside(v) for v in value]
    return f"{type(value).__name__}{sorted(texts) if isinstance(value, set | frozenset) else texts}"


def _named(value) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if name is None:
        raise NotHashable(f"{type(value).__name__}, which it uses, cannot be hashed")
    return f"{getattr(value, '__module__', '')}.{name}"


def _function(what: FunctionType, seen) -> str:
    """By name if it is a library's, but with what it wraps or holds of yours."""
    if what in NO_EFFECT:
        return what.__name__
    held = [cell.cell_contents for cell in what.__closure__ or () if _filled(cell)]
    extra = {k: v for k, v in vars(what).items() if k != "__wrapped__"}
    if not own(what):
        if not hasattr(what, "__wrapped__"):
            return _named(what)
        return f"{what.__code__.co_name} around {_text([held, what.__wrapped__], seen)}"
    defaults = what.__defaults__, what.__kwdefaults__
    values = [(name, _text(v, seen)) for name, v in references(what)]
    return f"def {instructions(what.__code__)} {values} {_text([held, defaults, extra], seen)}"


def _filled(cell) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # of a function that is not defined yet
        return False
    return True


def _class(what: type, seen) -> str:
    if not own(what):
        return _named(what)
    parts = [(k, _text(v, seen)) for k, v in sorted(vars(what).items()) if k not in NOT_CODE]
    return f"class {what.__qualname__} {[_text(base, seen) for base in what.__bases__]} {parts}"


def _object(value, seen) -> str:
    """An object of yours, or of a library: its class and what it holds."""
    if isinstance(value, nn.Module):
        return f"{files.digest(dict(value.state_dict()), str(value))} {_text(type(value), seen)}"
    if own(type(value)) or isinstance(value, SimpleNamespace):
        slots = {k: getattr(value, k) for k in getattr(value, "__slots__", ()) if hasattr(value, k)}
        return f"{_text(type(value), seen)} {_text(getattr(value, '__dict__', {}) | slots, seen)}"
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, seen).dump(value)
    except NotHashable:
        raise
    except Exception as error:  # whatever a library's object says to that
        raise NotHashable(f"{type(value).__name__}, which it uses, cannot be hashed ({error})") from error
    return f"{type(value).__qualname__} {sha256(buffer.getvalue()).hexdigest()}"


class _Pickler(pickle.Pickler):
    """Pickle names functions; here those of yours are written down in full."""

    def __init__(self, buffer, seen):
        super().__init__(buffer, protocol=4)
        self.seen = seen

    def persistent_id(self, value):
        mine = isinstance(value, FunctionType | type) and own(value)
        return _text(value, self.seen) if mine else None
