"""What a reader is told: a hint, and never a traceback from inside a check."""

import copy
import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class NotYet(AssertionError):
    """An answer that is not right yet. Jupyter shows the hint alone."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [str(self)]


def expect(condition: Any, hint: str) -> None:
    if not bool(condition):
        raise NotYet(f"not yet: {hint}")


def asked(answer: Callable, what: str, arguments: tuple) -> Any:
    """``answer(*arguments)`` on copies of them. Raises `NotYet` if it fails, returns nothing, or changes what
    it was given: values of tensors, parameters, buffers or the mode of a model."""
    given = copy.deepcopy(arguments)
    try:
        found = answer(*given)
    except NotYet:
        raise
    except Exception as error:
        if isinstance(error, NotImplementedError) and "raise" in _last_line(error):  # PyTorch raises it, too
            raise NotYet("not yet: put your code in the place of `raise NotImplementedError`") from None
        raise NotYet(f"not yet: {what}: {type(error).__name__}{_where(error)}: {error}") from error
    for model, before in zip(given, arguments, strict=True):
        hint = "the model is left in another mode; put every module back into the mode in which it came"
        expect(_modes(model) == _modes(before), f"{what}: {hint}")
    untouched = all(same(a, b, rtol=0, atol=0) for a, b in zip(given, arguments, strict=True))
    expect(untouched, f"{what}: the arguments have changed; work on copies and return something new")
    expect(found is not None, f"{what}: nothing came back (None): end the function with `return ...`")
    return found


def _modes(model: Any) -> list[bool]:
    return [module.training for module in model.modules()] if isinstance(model, nn.Module) else []


def _where(error: Exception) -> str:
    """The reader's own line that led to the error."""
    mine = str(Path(__file__).parent)
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(mine):
            return f" in line {frame.lineno}, `{frame.line}`" if frame.line else ""
    return ""


def _last_line(error: Exception) -> str:
    return traceback.extract_tb(error.__traceback__)[-1].line or ""


def same(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-9) -> bool:
    """Equal up to rounding, NaN where ``b`` is NaN, with the shapes of tensors, the keys of dictionaries, and
    whole numbers or truth values where ``b`` has them. A tensor of one number passes for a number."""
    if isinstance(b, nn.Module):
        return _modes(a) == _modes(b) and same(a.state_dict(), b.state_dict(), rtol, atol)
    if isinstance(b, Mapping):
        return (
            isinstance(a, Mapping) and a.keys() == b.keys() and all(same(a[k], b[k], rtol, atol) for k in b)
        )
    if isinstance(b, list | tuple):
        pairs = zip(a, b, strict=True) if isinstance(a, list | tuple) and len(a) == len(b) else [(None, 0)]
        return all(same(x, y, rtol, atol) for x, y in pairs)
    if isinstance(b, Tensor):
        return _kind(a, b) is None and _close(a, b, rtol, atol).all().item()
    if isinstance(b, int | float):
        value = _number(a)
        both = value is not None and math.isnan(value) and math.isnan(b)
        return both or (value is not None and math.isclose(value, b, rel_tol=rtol, abs_tol=atol))
    return a == b


def _close(a: Tensor, b: Tensor, rtol: float = 1e-5, atol: float = 1e-9) -> Tensor:
    a, b = (v.detach().cpu().double() for v in (a, b))
    return torch.isclose(a, b, rtol, atol, equal_nan=True)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) and getattr(value, "shape", None) != ():
        return None
    try:
        return float(value)
    except Exception:  # complex, without data, a class with other ideas
        return None


def _kind(a: Any, b: Tensor) -> str | None:
    """In what ``a`` is another kind of thing than the tensor ``b``."""
    if not isinstance(a, Tensor):
        return f"return a tensor, not {_name(a)}"
    if a.layout != torch.strided or a.is_meta or a.is_quantized:
        return "return a plain tensor: neither sparse nor quantized nor without data"
    if a.shape != b.shape:
        return f"expected the shape {list(b.shape)}, got {list(a.shape)}"
    if (a.dtype == torch.bool) != (b.dtype == torch.bool):
        return "return a mask of True and False" if b.dtype == torch.bool else "return numbers, not a mask"
    if a.is_complex() or (a.is_floating_point() and not b.is_floating_point()):
        return f"return whole numbers ({b.dtype}), not {a.dtype}"
    return None


def _name(value: Any) -> str:
    return f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def difference(a: Any, b: Any) -> str:
    """How ``a`` differs from the right ``b``: in kind, else in names or shape, else in its first value."""
    if isinstance(b, Mapping):
        if not isinstance(a, Mapping):
            return f"return a dict by name, not {_name(a)}"
        if missing := [name for name in b if name not in a]:
            return f"the dict lacks {missing}"
        if further := [name for name in a if name not in b]:
            return f"the dict has names that do not belong: {further}"
        return next(f"{name}: {difference(a[name], b[name])}" for name in b if not same(a[name], b[name]))
    if isinstance(b, list | tuple):
        if not isinstance(a, list | tuple) or len(a) != len(b):
            got = f"{len(a)}" if isinstance(a, list | tuple) else _name(a)
            return f"return {len(b)} things, in the order of the task; got {got}"
        k = next(k for k, right in enumerate(b) if not same(a[k], right))
        return f"number {k + 1} of what you return: {difference(a[k], b[k])}"
    if not isinstance(b, Tensor):
        value = _number(a)
        if value is None and isinstance(b, int | float):
            return f"return one number, not {_name(a)}"
        nan = value is not None and math.isnan(value)
        return f"expected {b}, got {a}" + (": 0 / 0, or a mean over nothing?" if nan else "")
    if kind := _kind(a, b):
        return kind
    at = tuple((~_close(a, b)).nonzero()[0].tolist())
    got, wanted = a[at].item(), b[at].item()
    place = f" at {list(at)}" if at else ""
    nan = ": 0 / 0, or the logarithm of 0?" if math.isnan(got) else ""
    return f"expected {wanted:.5g}, got {got:.5g}{place}{nan}"
