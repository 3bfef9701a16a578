"""Tables of rows: ``nn.Embedding`` and ``nn.EmbeddingBag``.

The gradient of sample n is that of its own rows alone, so that a table of 30,000 words costs what the words
of the batch cost.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import Rows


def embedding(use, func, weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    if not use.sampled(indices) or scale_grad_by_freq or use.dim >= indices.ndim:
        return NotImplemented

    def gradients(b: Tensor):
        index = use.split(indices).flatten(1) if indices.ndim > 1 or use.merged else indices[:, None]
        index = index.masked_fill(index == padding_idx, -1) if padding_idx >= 0 else index
        yield weight, lambda: Rows(index, b.reshape(*index.shape, *weight.shape[1:]), weight.shape)

    return use.result(func(use.plain(weight), indices, padding_idx), gradients)


def embedding_bag(
    use, func, input, weight, offsets=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
    mode="mean", sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Bags of equal length, ``[N, L]``: rows of the table, then their sum, mean or maximum."""
    if input.ndim != 2 or scale_grad_by_freq or max_norm is not None:
        return NotImplemented
    e = F.embedding(input, weight, padding_idx)
    if per_sample_weights is not None:
        e = e * per_sample_weights[..., None]
    if padding_idx is None:
        return e.max(1).values if mode == "max" else getattr(e, mode)(1)
    padding = (input == padding_idx)[..., None]
    if mode == "max":
        found = e.masked_fill(padding, -torch.inf).max(1).values
        return found.masked_fill(padding.all(1), 0.0)
    total = e.masked_fill(padding, 0.0).sum(1)
    return total if mode == "sum" else total / (~padding).sum(1).clamp(min=1)


RULES = {torch.embedding: embedding}
REWRITTEN = {F.embedding_bag: embedding_bag}
