"""An exercise of page 15: how many random probes make an estimate good enough?"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def probes_needed(answer: Callable[[Tensor, float], float]) -> None:
    """Exercise 15: ``answer(found, error)`` returns how many probes Hutchinson's estimate needs for this
    relative error of the diagonal, from a few ``[m, P]``; infinite if they do not show a diagonal."""

    def probes(m: int, seed: int, rest: float = 0.5) -> Tensor:
        """From a symmetric matrix of 6 weights."""
        a = numbers(6, 6, seed=seed)
        h = rest * (a + a.T) + torch.diag(3 + numbers(6, seed=seed + 1))
        v = 2.0 * chosen(6 * m, 2, seed=seed + 2).reshape(m, 6).double() - 1
        return v * (v @ h)

    cases = {
        "8 probes": (probes(8, 1), 0.1),
        "3 probes": (probes(3, 4), 0.07),
        "an error of a half": (probes(8, 7), 0.5),
        "a large diagonal": (900 * probes(6, 10), 0.03),
        "diagonals of both signs": (probes(12, 13) * torch.tensor([1.0, -1, 1, -1, 1, -1]), 0.1),
        "no noise": (probes(4, 16, 0.0), 0.1),
        "nothing but noise": (numbers(4, 6, seed=19) - 0.9 * numbers(4, 6, seed=19).mean(0), 0.1),
    }

    def by(
        noise: Callable = lambda found: found.var(0).sum(),
        signal: Callable = lambda found, own: found.mean(0).square().sum() - own / len(found),
        wanted: Callable = lambda error: error**2,
        end: Callable = lambda m: max(1, math.ceil(m)),
        none: float = math.inf,
    ) -> Callable:
        def number(found: Tensor, error: float) -> float:
            own = float(noise(found))
            diagonal = float(signal(found, own))
            return end(own / (diagonal * wanted(error))) if diagonal > 0 else none

        return number

    def raw(found: Tensor, own: float) -> Tensor:
        return found.mean(0).square().sum()

    slips = {
        "noise makes the mean of the probes longer: subtract what it adds to the square": by(signal=raw),
        "noise adds to the square of the mean: subtract it, not add": by(
            signal=lambda found, own: raw(found, own) + own / len(found)),
        "the mean of m probes has the noise of one divided by m": by(
            signal=lambda found, own: raw(found, own) - own),
        "the probes are a sample: variances with m - 1": by(lambda found: found.var(0, correction=0).sum()),
        "the mean square of the probes holds the diagonal as well: take variances": by(
            lambda found: found.square().mean(0).sum()),
        "the number of probes goes with the square of the error": by(wanted=lambda error: error),
        "a smaller error needs more probes": by(wanted=lambda error: error**-2),
        "errors are lengths: sum squares over weights, not standard deviations": by(
            lambda found: found.std(0).sum() ** 2),
        "the noise of all weights beside the diagonal of all: a sum beside a sum": by(
            lambda found: found.var(0).mean(), lambda found, own: (raw(found, own) - 6 * own / len(found))),
        "relative to the length of the diagonal, not to its sum": by(
            signal=lambda found, own: found.mean(0).sum() ** 2 - own / len(found)),
        "each weight has a mean of its own: variances over probes": by(lambda found: found.var() * 6),
        "the relative error of the whole diagonal, not that of the worst weight": lambda found, error: max(
            by()(found[:, k : k + 1], error) for k in range(found.shape[1])),
        "as many as are needed, a whole number: round up": by(end=lambda m: max(1, math.floor(m))),
        "round up: to the nearest it may be too few": by(end=lambda m: max(1, round(m))),
        "one probe at least": by(end=math.ceil),
        "a whole number of probes": by(end=lambda m: m),
        "how many in all, not how many more": lambda found, error: by(
            end=lambda m: max(0, math.ceil(m) - len(found)))(found, error),
        "the error is in the root: no further root of the number": by(
            end=lambda m: max(1, math.ceil(m**0.5))),
        "if noise explains all, no number is enough: inf": by(none=1),
        "if noise explains all, it is infinite, not unknown": by(none=math.nan),
        "a negative square is no diagonal: inf": lambda found, error: (
            by()(found, error) if by()(found, error) < math.inf else math.ceil(
                found.var(0).sum() / (raw(found, 0.0) - found.var(0).sum() / len(found)) / error**2)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("probes_needed: right")
