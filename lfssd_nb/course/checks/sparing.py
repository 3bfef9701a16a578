"""Exercises of page 05 on what forgetting a sub-class costs, and on a rule that spares the sibling."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...dampening import factor, selected
from .judge import chosen, judge, numbers


def _prices(own: Callable, served: Callable = lambda gone: gone.all(0)) -> Callable:
    """``[2]``: the mean of each run's price, and that of the best threshold of those that ``served`` all."""

    def prices(retained: Tensor, forgotten: Tensor, original: Tensor, most: float) -> Tensor:
        lost, gone = original[:, None] - retained, forgotten <= most
        common = lost.mean(0)[served(gone)]
        nan = lost.new_tensor(float("nan"))
        return torch.stack([own(lost, gone), common.min() if len(common) else nan])

    return prices


def _own(lost: Tensor, gone: Tensor) -> Tensor:
    least = lost.masked_fill(~gone, float("inf")).amin(1)
    return least.masked_fill(least.isinf(), float("nan")).mean()


def prices(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Exercise 05: ``answer(retained, forgotten, original, most)`` returns the mean price of forgetting where
    each run takes its own threshold, and where one serves all runs, ``[2]``."""
    steps = torch.arange(8).double()
    start = chosen(5, 5, seed=3).double()[:, None]
    forgotten = (20 * (steps - start)).clamp(0, 100) + chosen(40, 3, seed=1).reshape(5, 8)
    retained = 60 + 5 * steps - 2 * start + chosen(40, 30, seed=2).reshape(5, 8).double()
    original = torch.tensor([97.0, 98.5, 96.0, 99.0, 97.5]).double()
    cases = {
        "five runs": (retained, forgotten, original, 20.0),
        "exactly at the limit": (retained, forgotten.round(decimals=-1), original, 20.0),
        "a run that never forgets": (retained, forgotten + 50 * (start == start.max()), original, 30.0),
        "no threshold serves all": (
            retained,
            torch.cat([forgotten[:3], forgotten[3:].flip(1)]),
            original,
            10.0,
        ),
        "runs that gain": (retained + 40, forgotten, original, 20.0),
    }
    right = _prices(_own)

    def nothing_is_zero(*a) -> Tensor:
        return right(*a).nan_to_num(0.0)

    def those_that_do(lost: Tensor, gone: Tensor) -> Tensor:
        least = lost.masked_fill(~gone, float("inf")).amin(1)
        return least.masked_fill(least.isinf(), float("nan")).nanmean()

    def dearest(lost: Tensor, gone: Tensor) -> Tensor:
        return -_own(-lost, gone)

    def largest_alpha(lost: Tensor, gone: Tensor) -> Tensor:
        at = [g.nonzero().amax() if g.any() else None for g in gone]
        return torch.stack([row[k] if k is not None else row[0] * float("nan")
                            for row, k in zip(lost, at, strict=True)]).mean()  # fmt: skip

    slips = {
        "of the thresholds that forget take the one that keeps most: the least price": _prices(dearest),
        "at most `most`: the limit itself is allowed": lambda r, f, o, m: right(r, f, o, m - 1e-9),
        "how much is left, not how much is gone: forgotten <= most": lambda r, f, o, m: right(r, -f, o, -m),
        "the price is positive where accuracy is lost: original minus retained": lambda *a: -right(*a),
        "a gain is a negative price: do not cut it off at 0": lambda *a: right(*a).clamp(min=0),
        "a run that never gets there has no price: NaN, not 0": nothing_is_zero,
        "a run that never gets there makes the mean NaN: do not leave it out": _prices(those_that_do),
        "of the thresholds that forget take the one that keeps most, not the largest": _prices(largest_alpha),
        "one threshold for all runs: second, not each its own": lambda *a: right(*a)[[0, 0]],
        "each run its own threshold: first, not one for all": lambda *a: right(*a)[[1, 1]],
        "first each its own, then one for all": lambda *a: right(*a).flip(0),
        "the common threshold has to serve every run, not one of them": _prices(_own, lambda g: g.any(0)),
        "the common threshold has to serve every run, not most": _prices(
            _own, lambda g: g.double().mean(0) > 0.5),
        "the common threshold has to serve every run, not their mean": lambda r, f, o, m: torch.stack(
            [right(r, f, o, m)[0], right(r, f.mean(0).expand_as(f), o, m)[1]]),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("prices: right")


def spared(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float, float], Tensor]) -> None:
    """Exercise 05: ``answer(theta, i_f, i_d, i_s, alpha, lam)`` returns the weights after a dampening that
    spares what the sibling needs: max(I_D, I_S) in the place of I_D."""
    theta, i_f, i_d, i_s = (numbers(80, seed=k) if k == 0 else numbers(80, seed=k).square() for k in range(4))
    i_f, dead = 5 * i_f, torch.arange(80) % 7 == 0
    tie = 2.0 * torch.maximum(i_d, i_s)
    cases = {
        "alpha = 2, lambda = 1": (theta, i_f, i_d, i_s, 2.0, 1.0),
        "lambda = 0.3": (theta, i_f, i_d, i_s, 2.0, 0.3),
        "a large lambda": (theta, i_f, i_d, i_s, 1.0, 50.0),
        "a sibling that needs nothing": (theta, i_f, i_d, 0 * i_s, 2.0, 1.0),
        "weights exactly at the threshold": (theta, tie, i_d, i_s, 2.0, 1.0),
        "weights that neither D nor the sibling needs": (
            theta, i_f, i_d.masked_fill(dead, 0.0), i_s.masked_fill(dead, 0.0), 2.0, 1.0),
        "weights that the sibling alone needs": (theta, i_f, i_d.masked_fill(dead, 0.0), i_s, 2.0, 1.0),
    }  # fmt: skip

    def rule(
        theta: Tensor, i_f: Tensor, chooses: Tensor, shrinks: Tensor, alpha: float, lam: float
    ) -> Tensor:
        return torch.where(selected(i_f, chooses, alpha), theta * (lam * shrinks / i_f).clamp(max=1), theta)

    def by(needed: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        return lambda t, f, d, s, a, lam: t * factor(f, needed(d, s), a, lam)

    most = torch.maximum
    slips = {
        "the sibling's importance plays no part": by(lambda d, s: d),
        "D still counts: spare what D *or* the sibling needs": by(lambda d, s: s),
        "the larger of the two importances, not the smaller": by(torch.minimum),
        "the larger of the two, not their sum": by(torch.add),
        "the larger of the two, not their mean": by(lambda d, s: (d + s) / 2),
        "the factor, too, has the larger of the two in it": lambda t, f, d, s, a, lam: rule(
            t, f, most(d, s), d, a, lam),
        "the selection, too, compares with the larger of the two": lambda t, f, d, s, a, lam: rule(
            t, f, d, most(d, s), a, lam),
        "a selected weight is dampened, not set to 0": lambda t, f, d, s, a, lam: rule(
            t, f, most(d, s), 0 * d, a, lam),
        "clip the factor at 1: no weight may grow": lambda t, f, d, s, a, lam: torch.where(
            (f > a * most(d, s)) & (most(d, s) > 0), t * lam * most(d, s) / f, t),
        "a tie is not selected: the inequality is strict": lambda t, f, d, s, a, lam: torch.where(
            (f >= a * most(d, s)) & (most(d, s) > 0), t * (lam * most(d, s) / f).clamp(max=1), t),
        "where neither has an importance the weight keeps its value": lambda t, f, d, s, a, lam: torch.where(
            f > a * most(d, s), t * (lam * most(d, s) / f).clamp(max=1), t),
        "needed is what D *or* the sibling needs: max(I_D, I_S) > 0": lambda t, f, d, s, a, lam: torch.where(
            d > 0, t * factor(f, most(d, s), a, lam), t),
        "dampen the selected weights alone": (
            lambda t, f, d, s, a, lam: t * (lam * most(d, s) / f).clamp(max=1)),
    }  # fmt: skip
    judge(answer, by(most), cases, slips)
    print("spared: right")
