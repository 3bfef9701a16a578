"""Exercises of page 02 on sums over samples: a part taken out, and who has the most of it."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers

Named = dict[str, Tensor]


def _parts(n: int, n_f: int, seed: int) -> tuple[Named, int, Named, int]:
    """I(D) and I(D_f) of n and n_f random samples; to the first column of weights only D_f reacts."""
    g = {"weight": numbers(n, 3, 4, seed=seed).abs(), "bias": numbers(n, 3, seed=seed + 9).abs()}
    g["weight"][n_f:, :, 0] = 0
    return {k: v.mean(0) for k, v in g.items()}, n, {k: v[:n_f].mean(0) for k, v in g.items()}, n_f


def without(answer: Callable[[Named, int, Named, int], Named]) -> None:
    """Exercise 02: ``answer(i_d, n, i_f, n_f)`` returns I(D_r) by name, from I(D) of n samples and I(D_f) of
    n_f of them."""
    cases = {
        "3 of 20 samples": _parts(20, 3, 0),
        "a single sample of 8": _parts(8, 1, 1),
        "most of D: 9 of 10": _parts(10, 9, 2),
        "half of D": _parts(6, 3, 3),
    }

    def each(of: Callable) -> Callable:
        return lambda d, n, f, m: {k: of(d[k], n, f[k], m) for k in d}

    slips = {
        "importances are means: turn them into sums, N I, before you subtract": each(
            lambda d, n, f, m: d - f),
        "importances are means: subtract sums, and none is negative": each(
            lambda d, n, f, m: (d - f).clamp(min=0)),
        "divide by the number of samples that remain: an importance is a mean": each(
            lambda d, n, f, m: n * d - m * f),
        "divide by N - N_f, not by N": each(lambda d, n, f, m: d - m / n * f),
        "divide by N - N_f, not by N_f": each(lambda d, n, f, m: (n * d - m * f) / m),
        "each mean has its own number of samples: N I(D) - N_f I(D_f)": each(
            lambda d, n, f, m: n * (d - f) / (n - m)),
        "the two sets are not of equal size": each(lambda d, n, f, m: 2 * d - f),
        "subtract D_f, do not add it": each(lambda d, n, f, m: (n * d + m * f) / (n + m)),
        "D_f has to be subtracted, not only its count": each(lambda d, n, f, m: n * d / (n - m)),
        "D without D_f, not the other way round": each(lambda d, n, f, m: (m * f - n * d) / (n - m)),
    }  # fmt: skip
    judge(answer, each(lambda d, n, f, m: (n * d - m * f) / (n - m)), cases, slips)
    print("without: right")


def _in_order(values: Tensor, share: float) -> int:
    return int((values.cumsum(0) < share * values.sum()).sum()) + 1


def _falling(values: Tensor) -> Tensor:
    return values.sort(descending=True).values


def speakers(answer: Callable[[Tensor, float], int]) -> None:
    """Exercise 02: ``answer(values, share)`` returns how few samples have ``share`` of the sum of
    ``values``."""
    cases = {
        "a few large values": (chosen(30, 60).double() ** 2, 0.5),
        "equal values: half of them, exactly": (torch.ones(8).double(), 0.5),
        "one sample has all": (torch.tensor([0.0, 0.0, 5.0, 0.0]), 0.5),
        "the whole sum, zeros among the values": (torch.tensor([1.0, 0.0, 3.0, 0.0, 4.0]), 1.0),
        "a quarter": (torch.tensor([1.0, 2.0, 4.0, 5.0, 4.0]), 0.25),
        "three quarters": (chosen(40, 9, seed=1).double(), 0.75),
    }

    def right(v: Tensor, share: float) -> int:
        return _in_order(_falling(v), share)

    slips = {
        "the largest first: as few samples as possible": lambda v, s: _in_order(v.sort().values, s),
        "sort them: samples come in any order": _in_order,
        "reaching the share is enough: it need not be exceeded": lambda v, s: int(
            (_falling(v).cumsum(0) <= s * v.sum()).sum()) + 1,
        "count the sample that reaches the share as well": lambda v, s: right(v, s) - 1,
        "a number of samples, not a share of them": lambda v, s: right(v, s) / len(v),
        "a number of samples, not their percentage": lambda v, s: 100 * right(v, s) / len(v),
        "a share of the sum, not of the samples": lambda v, s: int(s * len(v)),
        "a share of the sum, not of the largest value": lambda v, s: int((v >= s * v.max()).sum()),
        "add values up: each one alone may be below the share": lambda v, s: int((v >= s * v.sum()).sum()),
        "how many, not how much they have": lambda v, s: float(_falling(v)[: right(v, s)].sum() / v.sum()),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("speakers: right")
