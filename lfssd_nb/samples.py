"""A few samples of D_f and of D_r, drawn from inputs as people have them, and samples as vectors."""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from .batches import Batch, apart, read, split_data

SAMPLES = 1000  # of each set at most
INSTEAD = "or give alpha yourself"


def draw(
    forget, full, n_forget: int, n_full: int, like: Tensor, seed: int = 0, batch_size: int | None = None,
    adapted: bool = False,
) -> tuple[list[Batch], list[Batch]]:  # fmt: skip
    """`SAMPLES` of D_f, and `SAMPLES` of D without those that occur in D_f, bit for bit (but for zeros at the
    end, with which batches are padded); all, where there are fewer. Where D_f is most of D more of D are
    drawn, so that about half of `SAMPLES` are left. The two counts are known from the importances;
    ``adapted``: see `batches.read`. A loader that shuffles gives other samples every time.

    Raises ``ValueError`` for sets of another size than that (an iterator that was used up), where nothing of
    D_f is found in D though ten or more were to be expected (a loader that augments), and where D has fewer
    than two samples that D_f has not.
    """
    known: set[bytes] = set()
    few, rest = [], []
    for index, batch in _read("D_f", forget, n_forget, SAMPLES, like, seed, batch_size, adapted):
        known |= set(_digests(batch, adapted))
        if len(index):
            few.append(batch.rows(index))
    drawn = max(SAMPLES, -(-SAMPLES * n_full // (2 * max(1, n_full - n_forget))))
    for index, batch in _read("D", full, n_full, drawn, like, seed, batch_size, adapted):
        if not len(index):
            continue
        mine = batch.rows(index)
        new = torch.tensor([each not in known for each in _digests(mine, adapted)]).nonzero()[:, 0]
        if len(new):
            rest.append(mine.rows(new))
    drawn, left = min(drawn, n_full), sum(map(len, rest))
    if left == drawn and drawn * n_forget > 10 * n_full:  # ten or more of D_f were to be expected
        raise ValueError(
            f"none of {drawn} samples of D is one of D_f: are they augmented as they are read, or padded "
            f"otherwise than with zeros at the end? Pass D_f and D as they are, {INSTEAD}"
        )
    if left < 2:
        raise ValueError(
            f"of {drawn} samples of D {left} are not in D_f, too few to choose alpha by: pass all of D as "
            f"the second, {INSTEAD}"
        )
    size = batch_size or 128
    return _joined(few, size), _joined(rest, size)


def _read(name: str, data, total: int, drawn: int, like: Tensor, seed: int, batch_size, adapted: bool):
    """Batches, each with the positions in it that are drawn."""
    chosen = torch.as_tensor(np.random.default_rng(seed).permutation(total)[:drawn]).sort().values
    first = 0
    for raw in split_data(data, None, batch_size, like):
        batch = read(raw, 1, like, adapted)
        yield chosen[(chosen >= first) & (chosen < first + len(batch))] - first, batch
        first += len(batch)
    if first != total:
        raise ValueError(
            f"{name} had {total} samples when its importance was computed and has {first} now: pass what can "
            f"be read twice (a tensor, a data set, a DataLoader), {INSTEAD}"
        )


def _joined(batches: list[Batch], size: int) -> list[Batch]:
    """Batches that fit together, in up to ``size`` samples: of a large D each of them brings one or two."""
    groups: dict = {}
    for batch in batches:
        leaves, form = tree_flatten(batch.inputs)
        kind = str(form), *((t.shape[1:], t.dtype) if isinstance(t, Tensor) else repr(t) for t in leaves)
        waiting = groups.setdefault(kind, [[]])
        if sum(map(len, waiting[-1])) + len(batch) > size:
            waiting.append([])
        waiting[-1].append(batch)
    return [_joint(group) for waiting in groups.values() for group in waiting if group]


def _joint(group: list[Batch]) -> Batch:
    def joint(*parts):
        return torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0]

    return group[0] if len(group) == 1 else Batch(tree_map(joint, *(batch.inputs for batch in group)))


def rows(few: list[Batch], rest: list[Batch], adapted: bool = False) -> tuple[Tensor, Tensor]:
    """The samples of both as vectors ``[m, P]`` and ``[n, P]``, without labels; what is padded to several
    lengths, to the longest; bytes (pictures) as real numbers, 0 for what is not finite."""
    columns = []
    for parts in zip(*(_leaves(batch, adapted) for batch in (*few, *rest)), strict=True):
        longest = max(t.shape[1] for t in parts)
        columns.append(torch.cat([F.pad(t, (0, longest - t.shape[1])) for t in parts]))
    every = torch.cat([t.float() if t.dtype == torch.uint8 else t for t in columns], 1)
    every = torch.nan_to_num(every, 0, 0, 0) if every.is_floating_point() else every
    m = sum(map(len, few))
    return every[:m], every[m:]


def _leaves(batch: Batch, adapted: bool) -> list[Tensor]:
    """All tensors as ``[N, P]``, without labels; complex numbers as two real ones."""
    inputs = apart(batch.inputs)[0] if adapted else batch.inputs
    if isinstance(inputs, Mapping):  # whatever order the entries have
        inputs = [inputs[k] for k in sorted(inputs, key=str)]
    leaves = [t for t in tree_flatten(inputs)[0] if isinstance(t, Tensor)]
    leaves = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in leaves]
    return [t.reshape(len(t), math.prod(t.shape[1:])) for t in leaves]


def _digests(batch: Batch, adapted: bool) -> list[bytes]:
    """For each sample what tells it from others: a hash of each of its tensors, without zeros at the end."""
    leaves = [t.cpu().contiguous().view(torch.uint8).numpy() for t in _leaves(batch, adapted)]
    return [
        b"".join(hashlib.blake2b(row.tobytes().rstrip(b"\0"), digest_size=16).digest() for row in sample)
        for sample in zip(*leaves, strict=True)
    ]
