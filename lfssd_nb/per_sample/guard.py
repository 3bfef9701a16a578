"""A model is left exactly as it was: its buffers, its caches, what its layers note down in a forward pass.

Some layers keep a tensor that they made of their parameters (a table of attention biases, a weight that is
composed anew at every call). A pass that differentiates would find a stale one, and leave one behind.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
OWN = {"_parameters", "_buffers", "_modules"}
Note = tuple[nn.Module, dict, list]  # a layer, its attributes, (collection, copy) for all that they hold


class Guard:
    """Notes what ``model`` is; `put_back` makes it so again."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.buffers = {k: (b, b.detach().clone()) for k, b in _held(model)}
        self.original: list[Note] = [(m, dict(vars(m)), _collections(vars(m))) for m in model.modules()]
        self.keep_caches()

    def changed_buffers(self) -> list[str]:
        # by value: batch norm updates its statistics without a new version
        return [k for k, (b, was) in self.buffers.items() if not bool(((b == was) | (b != b)).all())]

    def ready(self) -> None:
        """Before a forward pass: caches that are to be read anew are empty."""
        for note in self.empty:
            _apply(note)

    def put_back(self) -> None:
        """After a forward pass: what the layers have noted down is forgotten."""
        changed = [
            note for note in (self.original if self.changing is None else self.changing) if _apply(note)
        ]
        if self.changing is None and not self.empty:
            self.changing = changed  # from the first pass on it is known which layers do

    def around(self, run: Callable[[], T]) -> T:
        """What ``run()`` returns, a forward pass: caches that are to be read anew are empty before it, and
        what layers have noted down is forgotten after it."""
        self.ready()
        try:
            return run()
        finally:
            self.put_back()

    def everything_back(self) -> None:
        self.keep_caches()
        self.put_back()
        for name in self.changed_buffers():
            b, was = self.buffers[name]
            b.data.copy_(was)

    def keep_caches(self) -> None:
        self.empty: list[Note] = []
        self.changing: list[Note] | None = None

    def empty_caches(self) -> bool:
        """From now on, until `keep_caches`, a forward pass begins without the tensors that layers hold beside
        parameters and buffers. Whether there are any."""
        self.keep_caches()
        for module, before, _ in self.original:
            empty = {k: _emptied(v) for k, v in before.items() if k not in OWN and _holds_tensors(v)}
            if empty:
                self.empty.append((module, before | empty, _collections(before | empty)))
        return bool(self.empty)


def _apply(note: Note) -> bool:
    """Gives a layer its attributes and what is in them; whether it had others."""
    module, before, collections = note
    now = vars(module)
    changed = now.keys() != before.keys() or any(now[k] is not v for k, v in before.items())
    if changed:
        now.clear()
        now.update(before)
    for held, copy in collections:
        if not _same(held, copy):
            changed = True
            held.clear()
            (held.extend if isinstance(copy, list | deque) else held.update)(copy)
    return changed


def _held(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers, and tensors that layers hold as plain attributes."""
    yield from model.named_buffers()
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta:
                yield f"{name}.{key}".lstrip("."), value


def _holds_tensors(value) -> bool:
    if isinstance(value, dict):
        return any(isinstance(v, Tensor) for v in value.values())
    return isinstance(value, Tensor)


def _emptied(value):
    return type(value)() if isinstance(value, dict) else None


def _collections(attributes: dict) -> list[tuple]:
    """Every collection that changes in place and can be reached from these attributes, with a copy."""
    found, waiting = {}, list(attributes.values())
    while waiting:
        value = waiting.pop()
        if id(value) in found or not isinstance(value, dict | list | set | deque | tuple):
            continue
        if not isinstance(value, tuple):
            found[id(value)] = (value, value.copy())
        waiting += value.values() if isinstance(value, dict) else value
    return list(found.values())


def _same(a, b) -> bool:
    if isinstance(b, set):
        return a == b
    if isinstance(b, list | deque):
        return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))
    return a.keys() == b.keys() and all(a[k] is v for k, v in b.items())


@contextmanager
def untouched(model: nn.Module) -> Iterator[Guard]:
    """For the length of a ``with`` block the model may note things down; afterwards it is as it was."""
    guard = Guard(model)
    try:
        yield guard
    finally:
        guard.everything_back()
