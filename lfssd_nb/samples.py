"""A few samples of D_f and of D_r, drawn from inputs as people have them, and samples as vectors."""

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_flatten

from .batches import Batch, read, split_data

SAMPLES = 1000  # of each set at most


def draw(
    forget, full, n_forget: int, n_full: int, like: Tensor, seed: int = 0, batch_size: int | None = None,
    adapted: bool = False,
) -> tuple[list[Batch], list[Batch]]:  # fmt: skip
    """`SAMPLES` of D_f, and `SAMPLES` of D without those that occur in D_f, bit for bit; all, where there are
    fewer. The two counts are known from the importances; ``adapted``: see `batches.read`.

    Raises ``ValueError`` for sets of another size than that (an iterator that was used up), and where
    nothing of D_f is found in D (a loader that augments).
    """
    known: set[bytes] = set()
    few, rest = [], []
    for index, batch in _read("D_f", forget, n_forget, like, seed, batch_size, adapted):
        known |= set(_digests(batch))
        if len(index):
            few.append(batch.rows(index))
    for index, batch in _read("D", full, n_full, like, seed, batch_size, adapted):
        if not len(index):
            continue
        mine = batch.rows(index)
        new = torch.tensor([each not in known for each in _digests(mine)]).nonzero()[:, 0]
        if len(new):
            rest.append(mine.rows(new))
    drawn, left = min(SAMPLES, n_full), sum(map(len, rest))
    if left == drawn and drawn * n_forget > 10 * n_full:  # ten or more of D_f were to be expected
        raise ValueError(
            f"none of {drawn} samples of D is one of D_f: are they augmented as they are read? Pass D_f and "
            "D as they are, or choose alpha yourself (agreement.choose takes samples of D_r)"
        )
    return few, rest


def _read(name: str, data, total: int, like: Tensor, seed: int, batch_size: int | None, adapted: bool):
    """Batches, each with the positions in it that are drawn."""
    chosen = torch.as_tensor(np.random.default_rng(seed).permutation(total)[:SAMPLES]).sort().values
    first = 0
    for raw in split_data(data, None, batch_size, like):
        batch = read(raw, 1, like, adapted)
        yield chosen[(chosen >= first) & (chosen < first + len(batch))] - first, batch
        first += len(batch)
    if first != total:
        raise ValueError(
            f"{name} had {total} samples when its importance was computed and has {first} now: pass what can "
            "be read twice (a tensor, a data set, a DataLoader), not an iterator"
        )


def rows(batches: list[Batch]) -> Tensor:
    """The samples as vectors ``[N, P]``; batches that are padded to several lengths, to the longest."""
    columns = []
    for parts in zip(*map(_leaves, batches), strict=True):
        longest = max(t.shape[1] for t in parts)
        columns.append(torch.cat([F.pad(t, (0, longest - t.shape[1])) for t in parts]))
    return torch.cat(columns, 1)


def _leaves(batch: Batch) -> list[Tensor]:
    return [t.reshape(len(t), -1) for t in tree_flatten(batch.inputs)[0] if isinstance(t, Tensor)]


def _digests(batch: Batch) -> list[bytes]:
    whole = torch.cat([t.contiguous().view(torch.uint8) for t in _leaves(batch)], 1).cpu().numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in whole]
