"""Exercises of page 03: the dampening rule."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...dampening import factor, selected
from .judge import judge, numbers

Rule = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]


def _clipped(i_f: Tensor, i_d: Tensor, lam: float) -> Tensor:
    return (lam * i_d / i_f).clamp(max=1)


def _rule(mask: Callable = selected, ratio: Callable = _clipped) -> Rule:
    """The rule with another selection ``mask(i_f, i_d, alpha)``, or another factor of what is selected,
    ``ratio(i_f, i_d, lam)``."""
    return lambda theta, i_f, i_d, alpha, lam: torch.where(
        mask(i_f, i_d, alpha), theta * ratio(i_f, i_d, lam), theta
    )


def dampened(answer: Rule) -> None:
    """Exercise 03: ``answer(theta, i_f, i_d, alpha, lam)`` returns the dampened weights."""
    theta, i_f, i_d = numbers(60), numbers(60, seed=1).square() * 4, numbers(60, seed=2).square()
    tie, dead = i_d * 2.0, torch.arange(60) % 6 == 0
    without = i_d.masked_fill(dead, 0.0)
    cases = {
        "alpha = 2, lambda = 1": (theta, i_f, i_d, 2.0, 1.0),
        "weights exactly at the threshold": (theta, tie, i_d, 2.0, 1.0),
        "a large lambda": (theta, i_f, i_d, 0.5, 100.0),
        "lambda = 0.3": (theta, i_f, i_d, 2.0, 0.3),
        "lambda = 0": (theta, i_f, i_d, 2.0, 0.0),
        "weights with I_D = 0": (theta, i_f, without, 2.0, 1.0),
        "weights with I_F = I_D = 0": (theta, i_f.masked_fill(dead, 0.0), without, 2.0, 1.0),
    }
    slips = {
        "a tie, I_f = alpha * I_D, is not selected: it is strict": _rule(lambda f, d, a: f >= a * d),
        "I_D = 0: D says nothing about the weight, and it keeps its value": _rule(lambda f, d, a: f > a * d),
        "compare I_f with alpha * I_D, not with alpha": _rule(lambda f, d, a: (f > a) & (d > 0)),
        "select those above the threshold, not below": _rule(lambda f, d, a: f < a * d),
        "clip the factor at 1: no weight may grow": _rule(ratio=lambda f, d, lam: lam * d / f),
        "the factor is lam * I_D / I_f, not lam / I_f": _rule(
            ratio=lambda f, d, lam: (lam / f).clamp(max=1)),
        "the factor has lambda in it": _rule(ratio=lambda f, d, lam: (d / f).clamp(max=1)),
        "a small lambda dampens, it does not prune": _rule(
            ratio=lambda f, d, lam: (d / f).clamp(max=1) * (lam >= 1)),
        "the factor is lam * I_D / I_f, not alpha's: alpha only selects": lambda t, f, d, a, lam: torch.where(
            selected(f, d, a), t * (a * d / f).clamp(max=1), t),
        "clip the factor at 1, not the product: negative weights shrink as well": lambda t, f, d, a, lam: (
            torch.where(selected(f, d, a), (t * lam * d / f).clamp(max=1), t)),
        "0 / 0 is NaN: weights that nothing needs keep their value": lambda t, f, d, a, lam: (
            t * torch.where(f > a * d, lam * d / f, (d / f) / (d / f)).clamp(max=1)),
        "dampen the selected weights; all others keep their value": lambda t, f, d, a, lam: (
            t * (lam * d / f).clamp(max=1)),
    }  # fmt: skip
    judge(answer, lambda theta, *how: theta * factor(*how), cases, slips)
    print("dampened: right")


def alpha_for(answer: Callable[[Tensor, Tensor, int], float]) -> None:
    """Exercise 03: ``answer(i_f, i_d, count)`` returns the smallest alpha >= 0 that selects at most ``count``
    weights."""
    i_f, i_d = numbers(40).square(), numbers(40, seed=1).square() + 0.1
    dead = i_d.masked_fill(torch.arange(40) % 5 == 0, 0.0)
    cases = {
        "ten of forty": (i_f, i_d, 10),
        "none": (i_f, i_d, 0),
        "weights with I_D = 0": (i_f, dead, 6),
        "weights with I_F = I_D = 0": (i_f * (dead > 0), dead, 6),
        "two equal ratios": (torch.tensor([2.0, 6.0, 3.0, 1.0]), torch.tensor([1.0, 2.0, 1.0, 1.0]), 1),
        "all may be selected": (i_f, i_d, 40),
    }

    def ratios(i_f: Tensor, i_d: Tensor) -> Tensor:
        return (i_f / i_d)[i_d > 0].sort(descending=True).values

    def at(r: Tensor, k: int) -> float:
        return float(r[k]) if 0 <= k < len(r) else 0.0

    def every(i_f: Tensor, i_d: Tensor) -> Tensor:
        return (i_f / i_d).sort(descending=True).values

    slips = {
        "at a tie, I_F = alpha * I_D, a weight is not selected: the next ratio is enough": lambda f, d, n: at(
            ratios(f, d), n - 1),
        "weights with I_D = 0 are never selected: leave them out": lambda f, d, n: at(every(f, d), n),
        "0 / 0 is NaN: leave weights with I_D = 0 out": lambda f, d, n: at(every(f, d).nan_to_num(0.0), n),
        "the largest ratios are selected: sort downwards": lambda f, d, n: at(ratios(f, d).flip(0), n),
        "a ratio of importances, not I_F alone": lambda f, d, n: at(f.sort(descending=True).values, n),
        "the smallest alpha: between two ratios it is the lower one": lambda f, d, n: (
            at(ratios(f, d), n - 1) + at(ratios(f, d), n)) / 2,
        "if all may be selected alpha is 0": lambda f, d, n: at(ratios(f, d), min(n, len(ratios(f, d)) - 1)),
        "a number of weights, not of different ratios": lambda f, d, n: at(ratios(f, d).unique().flip(0), n),
        "alpha, not the number of weights that it selects": lambda f, d, n: float(
            selected(f, d, at(ratios(f, d), n)).sum()),
        "how many are selected, not how many are left": lambda f, d, n: at(ratios(f, d), len(f) - n),
        "the ratio is I_F / I_D": lambda f, d, n: at((d / f)[d > 0].sort(descending=True).values, n),
    }  # fmt: skip
    judge(answer, lambda f, d, n: at(ratios(f, d), n), cases, slips)
    print("alpha_for: right")


def _rows(gather: Callable = lambda v: v.mean(1, keepdim=True), **how: Callable) -> Rule:
    """The rule for whole rows, with the importances that ``gather`` makes [C, 1] of those [C, n]."""
    return lambda theta, i_f, i_d, alpha, lam: _rule(**how)(theta, gather(i_f), gather(i_d), alpha, lam)


def dampened_rows(answer: Rule) -> None:
    """Exercise 03: ``answer(theta, i_f, i_d, alpha, lam)`` dampens the rows of ``theta [C, n]`` as a whole; a
    row's importances are the means of its weights'."""
    theta, i_f, i_d = numbers(7, 4), numbers(7, 4, seed=1).square() * 3, numbers(7, 4, seed=2).square()
    dead = (torch.arange(7) % 3 == 0)[:, None]
    cases = {
        "seven neurons of four weights": (theta, i_f, i_d, 2.0, 1.0),
        "as many neurons as weights": tuple(v[:4] for v in (theta, i_f, i_d)) + (1.5, 1.0),
        "lambda = 0.3": (theta, i_f, i_d, 2.0, 0.3),
        "a large lambda": (theta, i_f, i_d, 0.5, 4.0),
        "neurons with I_D = 0": (theta, i_f, i_d.masked_fill(dead, 0.0), 2.0, 1.0),
        "dead neurons": (theta, i_f.masked_fill(dead, 0.0), i_d.masked_fill(dead, 0.0), 2.0, 1.0),
        "a neuron at the threshold": (theta, torch.full_like(theta, 2.0), torch.ones_like(theta), 2.0, 1.0),
    }

    def mean_ratio(theta: Tensor, i_f: Tensor, i_d: Tensor, alpha: float, lam: float) -> Tensor:
        r = (i_f / i_d).mean(1, keepdim=True)
        return torch.where(r > alpha, theta * (lam / r).clamp(max=1), theta)

    def if_any(of: Callable[[Tensor, int, bool], Tensor]) -> Rule:
        return lambda t, f, d, a, lam: torch.where(
            of(selected(f, d, a), 1, True), t * _clipped(f.mean(1, True), d.mean(1, True), lam), t
        )

    slips = {
        "a row is selected as a whole, not weight by weight": _rule(),
        "a neuron is a row, its inputs are columns: average over dimension 1": _rows(lambda v: v.mean(0)),
        "one importance for each row, not one for the matrix": _rows(lambda v: v.mean()),
        "the ratio of the row's importances, not the mean of its weights' ratios": mean_ratio,
        "the row's mean decides, not whether one of its weights is above": if_any(torch.any),
        "the row's mean decides, not whether all of its weights are above": if_any(torch.all),
        "the mean of the row, not its largest": _rows(lambda v: v.amax(1, keepdim=True)),
        "the row has one factor: that of its mean importances": lambda t, f, d, a, lam: torch.where(
            selected(f.mean(1, True), d.mean(1, True), a), t * (lam * d / f).clamp(max=1), t),
        "clip the factor at 1: no weight may grow": _rows(ratio=lambda f, d, lam: lam * d / f),
        "the factor has lambda in it": _rows(ratio=lambda f, d, lam: (d / f).clamp(max=1)),
        "a row with I_D = 0 keeps its values": _rows(mask=lambda f, d, a: f > a * d),
        "a tie is not selected": _rows(mask=lambda f, d, a: f >= a * d),
        "dampen the selected rows; all others keep their values": _rows(mask=lambda f, d, a: d > 0),
    }  # fmt: skip
    judge(answer, _rows(), cases, slips)
    print("dampened_rows: right")


def undone(answer: Rule) -> None:
    """Exercise 03: ``answer(new, i_f, i_d, alpha, lam)`` returns the weights before they were dampened."""
    theta, i_f, i_d = numbers(40), numbers(40, seed=1).square() * 4, numbers(40, seed=2).square()
    gap = i_d.masked_fill(torch.arange(40) % 6 == 0, 0.0)
    how = {
        "alpha = 2, lambda = 1": (i_f, i_d, 2.0, 1.0),
        "lambda = 0.1": (i_f, i_d, 2.0, 0.1),
        "a lambda above alpha": (i_f, i_d, 1.0, 3.0),
        "weights with I_D = 0": (i_f, gap, 2.0, 1.0),
        "weights with I_F = I_D = 0": (i_f * (gap > 0), gap, 2.0, 1.0),
        "weights exactly at the threshold": (i_d * 2.0, i_d, 2.0, 1.0),
    }
    cases = {what: (theta * factor(*given), *given) for what, given in how.items()}

    def divided(mask: Callable = selected, ratio: Callable = _clipped) -> Rule:
        return lambda new, f, d, a, lam: torch.where(mask(f, d, a), new / ratio(f, d, lam), new)

    slips = {
        "divide by the factor: multiplying dampens once more": _rule(),
        "those that were not selected are as they were": divided(lambda f, d, a: d > 0),
        "the factor was clipped at 1: a weight that did not shrink must not shrink now": divided(
            ratio=lambda f, d, lam: lam * d / f),
        "the factor had lambda in it": divided(ratio=lambda f, d, lam: (d / f).clamp(max=1)),
        "alpha selected, and is not in the factor": lambda new, f, d, a, lam: torch.where(
            selected(f, d, a), new * a, new),
        "the factor was lam * I_D / I_F: divide by it, not by its inverse": divided(
            ratio=lambda f, d, lam: f / (lam * d)),
        "where I_D = 0 nothing was done: not a division by 0": divided(lambda f, d, a: f > a * d),
        "a tie was not selected": divided(lambda f, d, a: (f >= a * d) & (d > 0)),
        "nothing is undone: these are the dampened weights": lambda new, *_: new,
        "select by the importances, as the rule did, not by the weights' size": lambda new, f, d, a, lam: (
            torch.where(new.abs() < a, new / _clipped(f, d, lam), new)),
    }  # fmt: skip
    judge(answer, divided(), cases, slips)
    print("undone: right")
