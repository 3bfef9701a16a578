"""Exercises of page 06 on random forget sets: the spread of a ratio, small batches, and an order of D."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers


def spread(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 06: ``answer(per_sample, size)`` predicts the standard deviation of I(D_f) / I(D) over random
    forget sets of ``size`` rows of ``per_sample`` [N, P]."""
    table, uneven = numbers(12, 5, seed=1).square(), numbers(40, 3, seed=2).exp()
    table[:, 1], table[:, 4] = 2.0, 0.0
    cases = {
        "3 of 12 rows": (table, 3),
        "20 of 40 rows": (uneven, 20),
        "one row": (uneven, 1),
        "all rows, of which every ratio is 1": (uneven, 40),
    }

    def by(of: Callable[[Tensor, int, int], Tensor]) -> Callable:
        return lambda g, size: of(g.std(0) / g.mean(0), size, len(g))

    right = by(lambda c, n_f, n: c * (1 / n_f - 1 / n) ** 0.5)
    slips = {
        "D_f = D has ratio 1 exactly: drawn without replacement, the factor sqrt(1 - N_f/N)": by(
            lambda c, n_f, n: c / n_f**0.5),
        "sqrt(1 - N_f/N), with the root": by(lambda c, n_f, n: c / n_f**0.5 * (1 - n_f / n)),
        "1 - N_f/N, what is left of D, not N_f/N": by(lambda c, n_f, n: c / n_f**0.5 * (n_f / n) ** 0.5),
        "four times the rows, half of the spread: divide by the root of N_f": by(
            lambda c, n_f, n: c / n_f * (1 - n_f / n) ** 0.5),
        "a mean of N_f rows varies less than one row": by(lambda c, n_f, n: c * (1 - n_f / n) ** 0.5),
        "the spread of the *ratio*: relative to the mean of the column": (
            lambda g, n_f: right(g, n_f) * g.mean(0)),
        "the standard deviation, not the variance": lambda g, n_f: right(g, n_f) ** 2,
        "with this factor it is exact for the deviation with N - 1 in it": lambda g, n_f: (
            right(g, n_f) * (1 - 1 / len(g)) ** 0.5),
        "a weight that no sample needs has no ratio: NaN": lambda g, n_f: right(g, n_f).nan_to_num(0.0),
        "one prediction for each weight (column), not one for all": lambda g, n_f: right(g, n_f).nanmean(),
        "over the rows (samples), dim 0": lambda g, n_f: g.std(1) / g.mean(1) * (1 / n_f - 1 / len(g)) ** 0.5,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("spread: right")


def _weights(of: Callable[[int, int, int], float]) -> Callable:
    """``of(images in the batch, batches, size)`` for each image."""

    def weights(n: int, size: int) -> Tensor:
        parts = torch.arange(n).split(size)
        return torch.cat([torch.full((len(p),), of(len(p), len(parts), size)).double() for p in parts])

    return weights


def image_weights(answer: Callable[[int, int], Tensor]) -> None:
    """Exercise 06: ``answer(n, size)`` returns how much each of ``n`` images counts in the batch means of its
    set, ``[n]``, if no gradients cancel."""
    cases = {
        "70 in batches of 64": (70, 64),
        "9 in batches of 4": (9, 4),
        "8 in batches of 4": (8, 4),
        "25 in batches of 8": (25, 8),
        "5 in batches of 1": (5, 1),
        "14 in batches of 64": (14, 64),
    }
    right = _weights(lambda b, batches, size: 1 / (b * batches))

    def chunks(n: int, size: int) -> Tensor:
        parts = torch.arange(n).chunk(-(-n // size))
        return torch.cat([torch.full((len(p),), 1 / (len(p) * len(parts))).double() for p in parts])

    def whole(n: int, size: int) -> Tensor:
        full = n // size * size
        return torch.cat([torch.full((full,), 1 / max(full, 1)), torch.zeros(n - full)]).double()

    slips = {
        "that would be per sample: here every *batch* counts alike, however small it is": lambda n, size: (
            torch.full((n,), 1 / n).double()),
        "a mean over the batches as well: the weights add up to 1": _weights(lambda b, batches, size: 1 / b),
        "a mean within the batch as well: the weights add up to 1": (
            _weights(lambda b, batches, size: 1 / batches)),
        "the mean of a short batch divides by its own images, not by `size`": _weights(
            lambda b, batches, size: 1 / (size * batches)),
        "batches of `size`, and the last is what is left: split, not chunk": chunks,
        "the short last batch counts as well, as much as any other": whole,
        "a short batch counts as one batch": (
            lambda n, size: right(n, size) * -(-n // size) / max(n // size, 1)),
        "the short batch is the last": lambda n, size: right(n, size).flip(0),
        "one weight for each image, not for each batch": lambda n, size: torch.stack(
            [p.sum() for p in right(n, size).split(size)]),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("image_weights: right")


def _parts(drawn: Tensor, forget: Tensor) -> tuple[Tensor, Tensor]:
    """The retained and the forgotten positions, both as they were drawn."""
    gone = torch.isin(drawn, forget)
    return drawn[~gone], drawn[gone]


def _joined(of: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> Callable:
    return lambda drawn, forget: torch.cat(of(*_parts(drawn, forget)))


def reference_order(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 06: ``answer(drawn, forget)`` returns the positions of D in the order of the reference code
    for a random forget set: D_r, then D_f, both in the order of the permutation ``drawn``."""
    cases = {}
    for n, n_f, seed in ((8, 3, 0), (25, 6, 1), (7, 0, 2), (6, 6, 3)):
        draw = torch.Generator().manual_seed(seed)
        drawn, forget = (torch.randperm(n, generator=draw) for _ in range(2))
        cases[f"{n_f} of {n}"] = (drawn, forget[:n_f])
    right = _joined(lambda kept, gone: (kept, gone))

    def by_rank(drawn: Tensor, forget: Tensor) -> Tensor:
        return right(drawn.argsort(), forget)

    slips = {
        "D_f stands last, not in its place": lambda drawn, forget: drawn,
        "first D_r, then D_f": _joined(lambda kept, gone: (gone, kept)),
        "all of D: D_f belongs to it": _joined(lambda kept, gone: (kept,)),
        "D_r comes before it": _joined(lambda kept, gone: (gone,)),
        "D_r in the order drawn, not as stored": _joined(lambda kept, gone: (kept.sort().values, gone)),
        "D_r and D_f in the order drawn, not as stored": _joined(
            lambda kept, gone: (kept.sort().values, gone.sort().values)),
        "D_f, too, in the order drawn, not as stored": _joined(lambda kept, gone: (kept, gone.sort().values)),
        "D_f, too, in the order drawn, not in that of `forget`": lambda drawn, forget: torch.cat(
            [_parts(drawn, forget)[0], forget]),
        "in the order drawn, not backwards": lambda drawn, forget: right(drawn, forget).flip(0),
        "every position once: D_f is not among D_r": lambda drawn, forget: torch.cat(
            [drawn, _parts(drawn, forget)[1]]),
        "drawn[k] is the position that comes k-th, not the place of position k": by_rank,
        "positions in D, not places in `drawn`": (
            lambda drawn, forget: torch.isin(drawn, forget).int().argsort(
            stable=True)),
        "return positions, not a mask": lambda drawn, forget: torch.isin(drawn, forget),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("reference_order: right")
