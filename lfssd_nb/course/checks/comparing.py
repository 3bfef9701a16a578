"""Exercises of page 07, on a fair comparison: an interval for a paired difference, and what it all costs."""

from collections.abc import Callable

import torch
from scipy.stats import norm
from torch import Tensor

from .evidence import by_network, student
from .judge import judge, numbers

Interval = tuple[float, float]


def _half(d: Tensor, level: float, n: int | None = None) -> float:
    """Half of a two-sided interval for the mean of ``d``, with Student's t of ``n`` values."""
    return student(n or len(d), 1 - level / 2) * float(d.std()) / len(d) ** 0.5


def _of_differences(interval: Callable[[Tensor, int], Interval]) -> Callable:
    """From the networks' mean differences and the number of comparisons."""
    return lambda mine, other, network, m: interval(by_network(mine - other, network), m)


def _of_halves(change: Callable[[float, int, int, int], float]) -> Callable:
    """The right interval with another half-width: ``change(half, records, networks, m)``."""

    def interval(mine: Tensor, other: Tensor, network: Tensor, m: int) -> Interval:
        d = by_network(mine - other, network)
        return float(d.mean()), change(_half(d, 0.05 / m), len(mine), len(d), m)

    return interval


def paired(answer: Callable[[Tensor, Tensor, Tensor, int], Interval]) -> None:
    """Exercise 07: ``answer(mine, other, network, m)`` returns mean and half-width of the difference of two
    methods, from records of networks, with all m intervals of a table holding together in 95 %."""
    network = torch.tensor([7, 7, 7, 0, 2, 2, 2, 2, 2, 0, 5, 3, 3, 7])
    of_network, own = 4 * numbers(8, seed=1)[network], 2 * numbers(8, seed=6)[network]
    mine, other = of_network + own + numbers(14, seed=2), of_network + 0.3 * numbers(14, seed=3) - 1.5
    three = torch.tensor([0, 1, 2, 2, 2, 1, 2])
    cases = {
        "one comparison, five networks with unequal numbers of records": (mine, other, network, 1),
        "the same, one of six comparisons": (mine, other, network, 6),
        "three networks, one of twenty comparisons": (mine[:7], other[:7], three, 20),
        "a record for each network": (mine, other, torch.arange(14), 3),
        "the same difference everywhere": (mine, mine + 2, network, 6),
    }

    def records(mine: Tensor, other: Tensor, network: Tensor, m: int) -> Interval:
        return float((mine - other).mean()), _half(mine - other, 0.05 / m)

    def unpaired(mine: Tensor, other: Tensor, network: Tensor, m: int) -> Interval:
        a, b = by_network(mine, network), by_network(other, network)
        return float(a.mean() - b.mean()), (_half(a, 0.05 / m) ** 2 + _half(b, 0.05 / m) ** 2) ** 0.5

    def right(d: Tensor, m: int) -> Interval:
        return float(d.mean()), _half(d, 0.05 / m)

    slips = {
        "records of one network share it: average the differences of each network first": records,
        "each network counts once: the mean of the networks' means, not of all records": (
            lambda a, b, k, m: (float((a - b).mean()), _of_differences(right)(a, b, k, m)[1])),
        "m intervals are to hold together: 0.05 / m in place of 0.05": _of_differences(
            lambda d, m: (float(d.mean()), _half(d, 0.05))),
        "two sides: half of 0.05 / m on each": _of_differences(
            lambda d, m: (float(d.mean()), _half(d, 0.1 / m))),
        "divide the 0.05 by m, do not multiply the half-width": _of_differences(
            lambda d, m: (float(d.mean()), m * _half(d, 0.05))),
        "few networks: Student's t, not the normal distribution": _of_differences(
            lambda d, m: (float(d.mean()), float(norm.ppf(1 - 0.025 / m) * d.std()) / len(d) ** 0.5)),
        "few networks and m comparisons: Student's t at 0.05 / m, not 1.96": _of_differences(
            lambda d, m: (float(d.mean()), 1.96 * float(d.std()) / len(d) ** 0.5)),
        "degrees of freedom: networks minus 1, not records minus 1": lambda a, b, k, m: (
            _of_differences(lambda d, m: (float(d.mean()), _half(d, 0.05 / m, len(a))))(a, b, k, m)),
        "degrees of freedom: networks minus 1": _of_differences(
            lambda d, m: (float(d.mean()), _half(d, 0.05 / m, len(d) + 1))),
        "the sample deviation, with n - 1 in it": _of_halves(lambda h, r, n, m: h * (1 - 1 / n) ** 0.5),
        "the error of a mean: divide by the root of the number of networks": _of_halves(
            lambda h, r, n, m: h * n**0.5),
        "the root of the number of networks, not of records": _of_halves(
            lambda h, r, n, m: h * (n / r) ** 0.5),
        "both methods start from the same network: subtract first, then take the deviation": unpaired,
        "mine minus other, not the other way round": _of_differences(
            lambda d, m: (-float(d.mean()), _half(d, 0.05 / m))),
        "mean and half-width, not the two ends": _of_differences(
            lambda d, m: (float(d.mean()) - _half(d, 0.05 / m), float(d.mean()) + _half(d, 0.05 / m))),
        "half of the width, not all of it": _of_halves(lambda h, r, n, m: 2 * h),
    }  # fmt: skip
    judge(answer, _of_differences(right), cases, slips)
    print("paired: right")


def _counted(counts: Callable[[int, int, int], tuple], by: Callable = lambda n, t: n) -> Callable:
    """Passes for ``counts(requests n, settings k, tuned t)`` times what is remembered, what a request has, a
    run and the gold models, divided by ``by(n, t)``."""

    def passes(once: float, request: float, run: float, n: int, k: int, gold: float) -> float:
        parts = zip(counts(n, k, int(k > 1)), (once, request, run, gold), strict=True)
        return sum(times * part for times, part in parts) / by(n, int(k > 1))

    return passes


def cost(answer: Callable[[float, float, float, int, int, float], float]) -> None:
    """Exercise 07: ``answer(once, request, run, requests, settings, gold)`` returns the passes for each
    request, with the tuning on one validation request and what is remembered shared by all."""
    cases = {
        "importances, five settings": (1.0, 0.125, 0.0625, 20, 5, 90.0),
        "a method that trains, with five learning rates": (0.0, 0.0, 6.0, 4, 5, 45.0),
        "a single setting": (1.0, 0.25, 3.0, 3, 1, 45.0),
        "a single request": (2.0, 0.25, 1.5, 1, 3, 30.0),
    }

    def right(n: int, k: int, t: int) -> tuple[int, int, int, int]:
        return 1, n + t, n + t * k, t

    slips = {
        "what is remembered of D serves all requests: once": _counted(
            lambda n, k, t: (n, n + t, n + t * k, t)),
        "what is remembered of D serves all requests, the validation request too: once": _counted(
            lambda n, k, t: (n + t, n + t, n + t * k, t)),
        "what is remembered of D serves all runs: once": _counted(
            lambda n, k, t: (n + t * k, n + t, n + t * k, t)),
        "what is remembered of D has to be computed once": _counted(lambda n, k, t: (0, *right(n, k, t)[1:])),
        "what belongs to a request is shared by all settings that are tried on it": _counted(
            lambda n, k, t: (1, n + t * k, n + t * k, t)),
        "tuning is part of the cost: every setting runs on the validation request": _counted(
            lambda n, k, t: (1, n, n, 0)),
        "the choice looks at gold models of the validation request: they cost passes": _counted(
            lambda n, k, t: (1, n + t, n + t * k, 0)),
        "settings are tried on the validation request, not on every request": _counted(
            lambda n, k, t: (1, n, n * k, t)),
        "settings are tried on the validation request, and gold trained for it, not for every one": _counted(
            lambda n, k, t: (1, n, n * k, n * t)),
        "the same gold models judge all settings": _counted(lambda n, k, t: (1, n + t, n + t * k, t * k)),
        "gold models are for the choice, which is made once": _counted(
            lambda n, k, t: (1, n + t, n + t * k, t * n)),
        "a single setting leaves nothing to choose: no validation request, no gold": _counted(
            lambda n, k, t: (1, n + 1, n + k, 1)),
        "the validation request is none of the requests: each of them takes a run of its own": _counted(
            lambda n, k, t: (1, n, n + t * (k - 1), t)),
        "the validation request has passes that its settings share, like any request": _counted(
            lambda n, k, t: (1, n, n + t * k, t)),
        "the chosen setting has to run on every request": _counted(
            lambda n, k, t: (1, n + t, t * k + 1 - t, t)),
        "passes for each request: divide by their number": _counted(right, lambda n, t: 1),
        "divide by the requests that were answered, the validation request left out": _counted(
            right, lambda n, t: n + t),
    }  # fmt: skip
    judge(answer, _counted(right), cases, slips)
    print("cost: right")
