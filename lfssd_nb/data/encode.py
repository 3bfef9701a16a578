"""What people bring (lists, arrays, names) as the tensors of a `Dataset`."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def samples(field: str, x) -> Tensor:
    """Samples ``[N, ...]``: floating ones in float32, whole numbers in int64. Raises ``ValueError`` for what
    is no array of numbers, is empty, or is not finite."""
    try:
        x = _tensor(x)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{field} is no array of numbers ({error}): samples need one shape, words become tokens"
        ) from error
    if x.dim() < 2 or not len(x):
        raise ValueError(f"{field} must be samples [N, ...] of at least one number, got {list(x.shape)}")
    x = x.float() if x.is_floating_point() else x
    check_samples(field, x)
    return x if x.is_floating_point() else x.long()


def _tensor(given) -> Tensor:
    """A tensor, an array or a list as a tensor. Raises ``TypeError`` or ``ValueError`` for anything else."""
    return given.detach() if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))


def check_samples(field: str, x: Tensor) -> None:
    """Raises ``ValueError`` unless x is a tensor of samples ``[N, ...]`` as a network takes them: finite real
    numbers, or whole ones; no bytes of pictures."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{field} must be a tensor, got {type(x).__name__}: Dataset.from_tensors takes arrays and lists"
        )
    if x.is_complex() or x.dtype == torch.bool:
        raise ValueError(f"{field} is {x.dtype}: give real numbers, or whole ones for tokens")
    if x.dtype == torch.uint8 and x.dim() == 4:
        raise ValueError(
            f"{field} holds bytes {list(x.shape)}: images are float [N, C, H, W], so divide by 255 (and "
            "permute channels to the front), or let Dataset.from_folder read the files"
        )
    if x.is_meta or not x.is_floating_point() or torch.isfinite(x.sum()):  # the sum is five times as fast
        return
    if bad := int((~torch.isfinite(x)).sum()):
        raise ValueError(f"{field} has {bad} NaN or infinite numbers: drop or fill them")


def names_and_numbers(
    field: str, parts: Sequence, names: Sequence[str] | None
) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
    """Several lists of numbers 0, 1, ... or of names, as int64 tensors, and the names of the numbers. Numbers
    that begin above 0 are names.

    names: of numbers (default: the numbers themselves), or the order of names (default: sorted).
    Raises ``ValueError`` for other labels, and for a name that is not in ``names``.
    """
    arrays = [np.asarray(p.detach().cpu() if isinstance(p, Tensor) else p).reshape(-1) for p in parts]
    whole = all(a.dtype.kind in "iu" for a in arrays)
    low = min((int(a.min()) for a in arrays if whole and len(a)), default=0)
    if whole and (low < 1 or names is not None):
        numbers = [torch.from_numpy(a.astype(np.int64)) for a in arrays]
        most = max((int(a.max()) for a in arrays if len(a)), default=-1)
        return tuple(numbers), tuple(map(str, range(most + 1) if names is None else names))
    if any(a.dtype.kind not in "OUSiub" for a in arrays):
        kinds = ", ".join(str(a.dtype) for a in arrays)
        raise ValueError(f"{field} must be class numbers or names, got {kinds}")
    for a in arrays:
        if a.dtype.kind == "O" and any(v is None or v != v for v in a):
            raise ValueError(f"{field} has missing entries: drop these samples, or name them")
    texts = [[str(v) for v in a] for a in arrays]
    names = _in_order({v for text in texts for v in text}) if names is None else list(map(str, names))
    index = {name: k for k, name in enumerate(names)}
    if unknown := sorted({v for text in texts for v in text} - index.keys()):
        raise ValueError(f"{field} holds {unknown[0]!r}, which is none of the names {names[:12]}")
    return tuple(torch.tensor([index[v] for v in text], dtype=torch.int64) for text in texts), tuple(names)


def _in_order(names: set[str]) -> list[str]:
    """Sorted; numbers by their size."""
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def split(labels: np.ndarray, test: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and the test set: a share ``test`` of every class, drawn with ``seed``.

    Raises ``ValueError`` for a share that is not between 0 and 1 or leaves a class without a sample.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < test < 1:
        raise ValueError(f"test must be a share between 0 and 1, got {test}")
    try:
        return train_test_split(np.arange(len(labels)), test_size=test, random_state=seed, stratify=labels)
    except ValueError as error:
        raise ValueError(
            f"cannot split {len(labels)} samples by class ({error}): every class needs two, and the share "
            f"test={test} must hold one of each: add samples, or raise it"
        ) from error


def stratified(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n positions (in order) with every class in its share, to within one sample."""
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    counts = torch.bincount(labels)
    by_class = order[labels[order].argsort(stable=True)]  # every class as one run, shuffled inside
    starts = (counts.cumsum(0) - counts)[labels[by_class]]
    turn = torch.arange(len(labels), device=labels.device) - starts  # 0, 1, ... within the class
    return by_class[((turn + 0.5) / counts[labels[by_class]]).argsort(stable=True)[:n]].sort().values


def positions(what: str, index, n: int, of: str = "D", device: torch.device | None = None) -> Tensor:
    """Positions 0 to n - 1 in D (or ``of``), each once, as int64 ``[M]`` from a list, an array or a tensor.

    Raises ``ValueError`` for masks, fractions, repeats and positions outside.
    """
    try:
        found = _tensor(index)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the {what} must be a list of whole numbers, not {index!r:.80} ({error})"
        ) from error
    if found.dtype == torch.bool:
        raise ValueError(
            f"the {what} must be a list of positions, got a mask of {found.numel()}: a mask becomes one with "
            "mask.nonzero()[:, 0]"
        )
    if found.dim() != 1:
        kind = f"{found.dtype}{list(found.shape)}"
        raise ValueError(f"the {what} must be a list of positions, got {kind}: one position alone is [7]")
    if found.numel() and (found.is_floating_point() or found.is_complex()):
        raise ValueError(
            f"the {what} must be a list of positions, got {found.dtype} ({found[0]}, ...): positions are "
            "whole numbers, take .long() of what holds some"
        )
    found = found.long().to(device)
    if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < n:
        raise ValueError(
            f"the {what} is not inside {of}: positions {int(found.min())} to {int(found.max())}, but {of} "
            f"has {n} samples (0 to {n - 1})"
        )
    values, counts = found.unique(return_counts=True)
    if len(values) < len(found):
        raise ValueError(
            f"the {what} names a sample twice; pass every position once ({int(values[counts.argmax()])})"
        )
    return found


def check_parents(parents: tuple[int, ...], classes: tuple, superclasses: tuple) -> None:
    """Raises ``ValueError`` unless every class has a super-class that exists."""
    if len(parents) != len(classes):
        raise ValueError(f"{len(parents)} parents for {len(classes)} classes: name one each")
    if not 0 <= min(parents) <= max(parents) < len(superclasses):
        raise ValueError(f"parents {min(parents)} to {max(parents)} for {len(superclasses)} superclasses")


def check_labels(field: str, labels: Tensor | None, x: Tensor, names: tuple | None, of: str) -> None:
    """Raises ``ValueError`` unless there is a number within the names for each sample."""
    if labels is None:
        return
    if not isinstance(labels, Tensor):
        raise ValueError(
            f"{field} must be a tensor, got {type(labels).__name__}: Dataset.from_tensors takes arrays, lists"
        )
    if len(labels) != len(x):
        raise ValueError(f"{field} has {len(labels)} entries for {len(x)} samples: give one each")
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise ValueError(f"{field} must be int64 [N], got {labels.dtype}{list(labels.shape)}")
    if names is None:
        raise ValueError(f"{field} needs names: pass {of}")
    if len(labels) and not labels.is_meta and not 0 <= int(labels.min()) <= int(labels.max()) < len(names):
        raise ValueError(
            f"{field} holds {int(labels.min())} to {int(labels.max())}, but there are {len(names)} {of} "
            f"(0 to {len(names) - 1})"
        )
