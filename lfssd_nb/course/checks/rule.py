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
