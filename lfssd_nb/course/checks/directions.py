"""An exercise of page 13: squared derivatives from random directions, without the noise of any."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _pairs(a: Tensor, v: Tensor, count: Callable = lambda m: m * (m - 1)) -> Tensor:
    """For each sample the sum of u_k u_l over k != l, u = a v, divided by ``count`` of its directions."""
    u = a.nan_to_num(0.0)[:, :, None] * v
    return (u.sum(1).square() - u.square().sum(1)) / count(a.isfinite().sum(1).double())[:, None]


def _enough(a: Tensor, least: int = 2) -> Tensor:
    return a[a.isfinite().sum(1) >= least]


def squared_slopes(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 13: ``answer(slopes, v)`` returns an unbiased estimate ``[P]`` of the mean over samples of the
    squared derivatives, from slopes ``[N, m]`` (NaN: not measured) along random directions v ``[m, P]``."""
    g, drawn = numbers(6, 4, seed=1) * torch.tensor([2.0, 1.0, 0.3, 0.0]), numbers(8, 4, seed=2)
    signs = 2.0 * chosen(32, 2, seed=3).reshape(8, 4).double() - 1
    all_of = g @ signs.T
    few = chosen(48, 5, seed=4).reshape(6, 8) < 2
    few[:2] = torch.arange(8) > torch.tensor([[2], [4]])
    some = all_of.masked_fill(few, float("nan"))
    lone = some.clone()
    lone[1, 1:], lone[4] = float("nan"), float("nan")
    flat = torch.where(chosen(48, 3, seed=6).reshape(6, 8) > 0, all_of, 0.0)
    cases = {
        "random signs": (all_of, signs),
        "normal numbers": (g @ drawn.T, drawn),
        "two directions": (all_of[:, :2], signs[:2]),
        "directions that were not measured (NaN)": (some, signs),
        "samples with fewer than two directions": (lone, signs),
        "slopes of 0, which were measured": (flat, signs),
    }

    def right(a: Tensor, v: Tensor) -> Tensor:
        return _pairs(_enough(a), v).mean(0)

    def estimate(a: Tensor, v: Tensor) -> Tensor:
        """The derivatives [N, P], each a mean over the directions of its sample."""
        return (a.nan_to_num(0.0) @ v) / a.isfinite().sum(1, keepdim=True)

    def halves(a: Tensor, v: Tensor) -> Tensor:
        half = a.shape[1] // 2
        return (estimate(a[:, :half], v[:half]) * estimate(a[:, half:], v[half:])).nanmean(0)

    def beside(a: Tensor, v: Tensor) -> Tensor:
        u = a[:, :, None] * v
        return (u[:, 1:] * u[:, :-1]).nanmean(1).nanmean(0)

    def pooled(a: Tensor, v: Tensor) -> Tensor:
        m = a.isfinite().sum(1).double()
        return _pairs(a, v, torch.ones_like).sum(0) / (m * (m - 1)).sum()

    def for_signs(a: Tensor, v: Tensor) -> Tensor:
        a, m = _enough(a), _enough(a).isfinite().sum(1, keepdim=True)
        once = a.square().nansum(1, keepdim=True)
        return (((a.nan_to_num(0.0) @ v).square() - once) / (m * (m - 1))).mean(0)

    def without_v(a: Tensor, v: Tensor) -> Tensor:
        return _pairs(_enough(a), torch.ones_like(v)).mean(0)

    slips = {
        "a direction multiplied by itself adds its noise: leave k = l out": lambda a, v: (
            estimate(_enough(a), v).square().mean(0)),
        "different directions multiplied: one by itself says only how long the gradient is": lambda a, v: (
            (_enough(a)[:, :, None] * v).square().nanmean(1).mean(0)),
        "without k = l there are m (m - 1) products, not m^2": lambda a, v: (
            _pairs(_enough(a), v, lambda m: m * m).mean(0)),
        "a pair counted twice in the sum counts twice in the number: m (m - 1)": lambda a, v: 2 * right(a, v),
        "a pair counted once in the sum counts once in the number: m (m - 1) / 2": lambda a, v: (
            right(a, v) / 2),
        "an unbiased estimate of a square may be negative: cut off, it is too large on average": (
            lambda a, v: right(a, v).clamp(min=0)),
        "cut off at 0, each sample's estimate is too large on average": lambda a, v: (
            _pairs(_enough(a), v).clamp(min=0).mean(0)),
        "the square of each sample, then the mean: not of the mean over samples": lambda a, v: (
            _pairs(a.nanmean(0, keepdim=True), v).mean(0)),
        "the mean square, not its root": lambda a, v: right(a, v).clamp(min=0).sqrt(),
        "|.| has no such estimate: squares are asked for": lambda a, v: (
            estimate(_enough(a), v).abs().mean(0)),
        "a direction that was not measured is none: count those of each sample": lambda a, v: (
            _pairs(_enough(a).nan_to_num(0.0), v).mean(0)),
        "a sample that lacks some directions still has the others": lambda a, v: (
            _pairs(a[a.isfinite().all(1)], v).mean(0)),
        "fewer than two directions say nothing: no square of 0": lambda a, v: (
            _pairs(a, v).nan_to_num(0.0).mean(0)),
        "fewer than two directions give 0 / 0: leave that sample out": lambda a, v: _pairs(a, v).mean(0),
        "a slope of 0 was measured: it is no NaN": lambda a, v: right(a.masked_fill(a == 0, float("nan")), v),
        "the mean over samples, not their sum": lambda a, v: _pairs(_enough(a), v).sum(0),
        "each sample counts the same, however many pairs it has": pooled,
        "every pair of different directions, not one half with the other": halves,
        "every pair of different directions, not only neighbours": beside,
        "u_k^2 is a_k^2 for signs alone": for_signs,
        "each slope times its own direction, v_ki, before they are multiplied": without_v,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("squared_slopes: right")
