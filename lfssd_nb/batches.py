"""Inputs as people have them: tensors, arrays, dictionaries, named tuples, loaders, data sets.

A batch is brought into one form, inputs and targets. Whatever is ambiguous is refused, with the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.data import DataLoader, Dataset

LABELS = ("labels", "label", "targets", "target", "y")


@dataclass(frozen=True)
class Batch:
    """Inputs (tensors in any nesting, the samples in dimension 0 of each) and targets ``[N, ...]``."""

    inputs: Any
    targets: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return next(len(t) for t in tree_flatten(self.inputs)[0] if isinstance(t, Tensor))

    def map(self, f: Callable[[Tensor], Tensor]) -> Batch:
        def each(t):
            return f(t) if isinstance(t, Tensor) else t

        return Batch(tree_map(each, self.inputs), tuple(map(each, self.targets)))

    def rows(self, index) -> Batch:
        return self.map(lambda t: t[index])

    def twice(self) -> Batch:
        """Every sample two times: for functions that treat a single row in their own way."""
        return self.map(lambda t: torch.cat([t, t]))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Without the number of samples."""
        return [tuple(t.shape[1:]) for t in tree_flatten(self.inputs)[0] if isinstance(t, Tensor)]


def is_whole(data) -> bool:
    """Whether it is all samples at once, and no iterable of batches."""
    return isinstance(data, Tensor | np.ndarray | Mapping) or hasattr(data, "_fields")


def split_data(data, labels, batch_size: int | None, like: Tensor) -> Iterable:
    """An iterable of batches from what a caller gave: a tensor or array, a dictionary or named tuple of them,
    a data set, or an iterable already."""
    whole = is_whole(data)
    if isinstance(data, tuple) and not whole:
        raise ValueError(
            f"a tuple of {len(data)} is neither inputs nor a loader: pass the inputs alone (Fisher: and the "
            "labels beside them), or a list of batches"
        )
    if isinstance(data, Dataset) and not isinstance(data, torch.utils.data.IterableDataset):
        return DataLoader(data, batch_size=batch_size or 128)
    if not whole:
        if not isinstance(data, Iterable):
            raise ValueError(
                f"data must be a tensor, a dictionary of tensors or a loader, got {type(data).__name__}"
            )
        return data
    if labels is not None:
        data = (data, _as_tensor(labels))
    data = _plain(data) if labels is None else (_plain(data[0]), data[1])
    data = tree_map(lambda t: _tensor(t, like), data)
    size = batch_size or 128
    n = _rows(data)

    def rows(first: int):
        return tree_map(lambda t: t[first : first + size] if isinstance(t, Tensor) else t, data)

    return [rows(first) for first in range(0, n, size)]


def _rows(inputs) -> int:
    """The common number of samples of all tensors."""
    tensors = [t for t in tree_flatten(inputs)[0] if isinstance(t, Tensor)]
    if not tensors:
        raise ValueError(f"there is no tensor in a batch ({type(inputs).__name__}): convert it first")
    sizes = {len(t) if t.ndim else 1 for t in tensors}
    if len(sizes) > 1 or any(t.ndim == 0 for t in tensors):
        shapes = ", ".join(str(list(t.shape)) for t in tensors)
        raise ValueError(
            f"the tensors of a batch have shapes {shapes}: each needs the samples in dimension 0. Pad bags "
            "and offsets to [N, L]; keep what all samples share in forward=lambda model, batch: ..."
        )
    return sizes.pop()


def read(batch, columns: int, like: Tensor, adapted: bool) -> Batch:
    """One batch of a loader. ``columns``: 1 for inputs, 2 for inputs and labels. ``like``: a parameter
    (device and floating type of arrays). ``adapted``: a forward function takes the batch as it comes."""
    listed = isinstance(batch, list | tuple) and not hasattr(batch, "_fields")
    if listed and len(batch) > 2 and not adapted:
        raise ValueError(
            f"a batch of {len(batch)} entries: which are inputs and which are labels is not clear. Yield "
            "(inputs, labels), where inputs may be a dictionary, or give forward=lambda model, batch: ..."
        )
    if listed and not len(batch):
        raise ValueError("a batch is empty; yield inputs, or (inputs, labels)")
    inputs, targets = apart(batch)
    inputs = batch if adapted else inputs
    if isinstance(inputs, tuple) and len(inputs) == 1:
        inputs = inputs[0]

    def moved(t):
        t = _tensor(t, like)
        return _usable(t.to(like.device)) if isinstance(t, Tensor) else t

    inputs = tree_map(moved, _plain(inputs))
    if columns == 1:
        found = Batch(inputs)
    else:
        if targets is None:
            raise ValueError(
                "the Fisher importance needs batches of (inputs, labels); got inputs only. A dictionary "
                "brings them as 'labels'"
            )
        found = Batch(inputs, (moved(_as_tensor(targets)),))
    n = _rows(found.inputs)
    if columns > 1 and len(found.targets[0]) != n:
        raise ValueError(f"a batch has {n} inputs and {len(found.targets[0])} labels; each needs one")
    return found


def apart(batch) -> tuple[Any, Any]:
    """Inputs and labels of a batch, None where it has no labels: in a dictionary or named tuple they have one
    of the names `LABELS`, in a list or tuple of several entries they come last."""
    if isinstance(batch, Mapping):
        name = next((k for k in LABELS if k in batch), None)
        return {k: v for k, v in batch.items() if k != name}, None if name is None else batch[name]
    if hasattr(batch, "_fields"):
        name = next((k for k in LABELS if k in batch._fields), None)
        inputs = tuple(v for k, v in zip(batch._fields, batch, strict=True) if k != name)
        return inputs, None if name is None else getattr(batch, name)
    if isinstance(batch, list | tuple) and len(batch) > 1:
        return batch[0] if len(batch) == 2 else batch[:-1], batch[-1]
    return batch[0] if isinstance(batch, list | tuple) else batch, None


def _plain(inputs):
    """Mappings as dictionaries: PyTorch's trees know those."""
    if isinstance(inputs, Mapping):
        return {k: _plain(v) for k, v in inputs.items()}
    return inputs


def _tensor(t, like: Tensor):
    """Arrays as tensors, real numbers in the type of ``like``."""
    if not isinstance(t, np.ndarray | np.generic):
        return t
    t = torch.as_tensor(t)
    return t.to(like.dtype) if t.is_floating_point() else t


def _as_tensor(labels) -> Tensor:
    return labels if isinstance(labels, Tensor) else torch.as_tensor(np.asarray(labels))


def _usable(t: Tensor) -> Tensor:
    """A tensor that autograd may save: not of inference mode."""
    return t.clone() if t.is_inference() else t
