"""Rows that the data choose: how many there are says nothing about the samples, even where it fits."""

from __future__ import annotations

import torch
from torch import Tensor

LEAVE = {"tolist", "item", "numpy", "__array__", "__int__", "__float__", "__index__"}
CHOOSE = {"nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "_pack_padded_sequence"}
PICK = {"index_select", "gather", "take_along_dim"}
GATHER = {
    "index_add", "index_add_", "index_put", "index_put_", "index_copy", "index_copy_", "scatter", "scatter_",
    "scatter_add", "scatter_add_", "masked_scatter", "masked_scatter_", "__setitem__",
}  # fmt: skip


def scattered(watch, func, args, tensors: list[Tensor]) -> bool:
    """Whether the rows of a result are chosen by the data (those that an expert sees): how many they are
    says nothing about the samples, even where it fits."""
    name = getattr(func, "__name__", "")
    if name in GATHER:
        tensors = [args[0]]  # put back into rows of a known number
    elif name in CHOOSE or (name == "where" and len(args) == 1):
        return True
    elif name == "__getitem__":
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        if _chosen(watch, index):
            return True
    elif name in PICK and watch.sampled(tensors[-1]) and any(isinstance(d, int) and d == 0 for d in args[1:]):
        return True
    return any(getattr(t, "_lfssd_scattered", None) is watch.token for t in tensors)


def _chosen(watch, index: tuple) -> bool:
    """Whether an index picks rows by what is in the samples; not where it picks one of each row, as
    ``x[torch.arange(n), last]`` does."""
    arrays = [t for t in index if isinstance(t, Tensor) and t.ndim]
    if any(t.dtype == torch.bool for t in arrays) or (watch.left and any(isinstance(t, list) for t in index)):
        return True
    return (bool(arrays) and all(watch.sampled(t) for t in arrays)) or (watch.left and bool(arrays))
