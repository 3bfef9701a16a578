"""The arguments of a PyTorch call, and the calls inside one."""

import functools
import types
from collections.abc import Callable, Iterable

import torch.nn.functional as F
from torch import Tensor


def tensors_in(values) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)
        elif isinstance(value, dict):
            yield from tensors_in(value.values())


def replaced(value, by: Callable):
    if isinstance(value, Tensor):
        return by(value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(replaced(v, by) for v in value)
    return {k: replaced(v, by) for k, v in value.items()} if isinstance(value, dict) else value


@functools.cache
def body_of(func) -> Callable | None:
    """A function of ``torch.nn.functional`` that is written in Python, without its first lines, which would
    hand it over to `Watch` as a whole: the functions that it calls are seen."""
    if not isinstance(func, types.FunctionType) or func.__module__ != F.__name__:
        return None
    looks = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    blind = vars(F) | dict.fromkeys(looks, lambda *_: False)
    body = types.FunctionType(func.__code__, blind, func.__name__, func.__defaults__, func.__closure__)
    body.__kwdefaults__ = func.__kwdefaults__
    return body
