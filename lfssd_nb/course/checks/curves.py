"""Exercises of page 09 on what a curve of settings holds: a plateau, a front."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers

Run = tuple[int, int]


def runs(inside: list[bool]) -> list[Run]:
    """First and last place of each run."""
    starts = [k for k, one in enumerate(inside) if one and (k == 0 or not inside[k - 1])]
    ends = [k for k, one in enumerate(inside) if one and (k + 1 == len(inside) or not inside[k + 1])]
    return list(zip(starts, ends, strict=True)) or [(-1, -1)]


def _longest(inside: list[bool]) -> Run:
    return max(runs(inside), key=lambda run: (run[1] - run[0], run[0]))


def low(loss: Tensor, tie: float) -> list[bool]:
    """Which losses are within ``tie`` of the smallest."""
    return (loss <= loss[~loss.isnan()].min() + tie).tolist()


def plateau(answer: Callable[[Tensor, float], Run]) -> None:
    """Exercise 09: ``answer(loss, tie)`` returns first and last place of the longest run of losses within
    ``tie`` of the smallest."""
    nan = float("nan")
    cases = {
        "one run": (torch.tensor([9.0, 3.0, 2.0, 2.5, 7.0, 9.0]), 1.0),
        "several runs": (torch.tensor([2.0, 8.0, 2.5, 2.0, 3.0, 9.0, 2.0, 2.5, 9.0]), 1.0),
        "the smallest loss in a short run": (torch.tensor([9.0, 9.0, 2.5, 2.5, 2.5, 9.0, 2.0, 9.0]), 1.0),
        "runs of equal length": (torch.tensor([2.0, 2.0, 9.0, 2.0, 2.5, 9.0]), 0.5),
        "only equal losses, no slack": (torch.tensor([4.0, 1.0, 1.0, 1.5, 1.0]), 0.0),
        "a run up to the end": (torch.tensor([5.0, 5.0, 0.0, 0.5, 0.5]), 0.5),
        "a threshold that was not measured (NaN)": (torch.tensor([8.0, 1.0, nan, 1.5, 1.0, 8.0, nan]), 1.0),
        "a NaN between two halves": (torch.tensor([1.0, 1.0, nan, 1.0, 9.0, 1.0, 1.0, 1.0, 9.0]), 1.0),
        "losses on another scale": (torch.tensor([0.5, 0.25, 0.5, 0.75, 0.25, 0.5, 0.5]), 0.25),
    }

    def right(loss: Tensor, tie: float) -> Run:
        return _longest(low(loss, tie))

    def outermost(loss: Tensor, tie: float) -> Run:
        found = runs(low(loss, tie))
        return found[0][0], found[-1][1]

    def around_minimum(loss: Tensor, tie: float) -> Run:
        at = int(loss.nan_to_num(1e9).argmin())
        return next(run for run in runs(low(loss, tie)) if run[0] <= at <= run[1])

    def bridged(loss: Tensor, tie: float) -> Run:
        return _longest([a or bool(b) for a, b in zip(low(loss, tie), loss.isnan(), strict=True)])

    def largest(loss: Tensor, tie: float) -> Run:
        return _longest((loss >= loss[~loss.isnan()].max() - tie).tolist())

    slips = {
        "a run has no gap: not from the first to the last of all low losses": outermost,
        "the longest run, not the first": lambda loss, tie: runs(low(loss, tie))[0],
        "the longest run, not the last": lambda loss, tie: runs(low(loss, tie))[-1],
        "the longest run, not the one around the (first) smallest loss": around_minimum,
        "of equally long runs the last": lambda loss, tie: max(
            runs(low(loss, tie)), key=lambda run: run[1] - run[0]),
        "a loss of exactly the smallest plus `tie` belongs to it": lambda loss, tie: _longest(
            (loss < loss[~loss.isnan()].min() + tie).tolist()),
        "within `tie` of the smallest, not the smallest alone": lambda loss, tie: right(loss, 0.0),
        "a NaN is not the smallest loss: leave it out of the minimum": lambda loss, tie: _longest(
            (loss <= loss.min() + tie).tolist()),
        "a NaN was not measured: it is no loss of 0": lambda loss, tie: right(loss.nan_to_num(0.0), tie),
        "a NaN was not measured: it ends a run": bridged,
        "places of the whole curve: leaving the NaN out shifts them": lambda loss, tie: right(
            loss[~loss.isnan()], tie),
        "the last place belongs to the run: no half-open end": lambda loss, tie: (
            right(loss, tie)[0], right(loss, tie)[1] + 1),
        "first and last place, not first place and length": lambda loss, tie: (
            right(loss, tie)[0], right(loss, tie)[1] - right(loss, tie)[0] + 1),
        "the tie is in points, not a share of the smallest loss": lambda loss, tie: right(
            loss, tie * float(loss[~loss.isnan()].min())),
        "a loss: small is good": largest,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("plateau: right")


def _unbeaten(beats: Callable, retained: Tensor, forgotten: Tensor) -> Tensor:
    """Cells that ``beats(a, A, b, B)`` (another's and one's own) for no other, and that are finite."""
    there = retained.isfinite() & forgotten.isfinite()
    r, f = retained.masked_fill(~there, float("nan")), forgotten.masked_fill(~there, float("nan"))
    return there & ~beats(r[:, None], r, f[:, None], f).any(0)


def front(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 09: ``answer(retained, forgotten)`` returns the mask ``[cells]`` of the Pareto front."""
    r, f = (chosen(40, 12, seed=k).double() for k in (1, 2))
    r[:6], f[:6] = torch.tensor([[11.0, 11, 10, 9, 3, 3], [9.0, 9, 4, 3.5, 0, 0]]).double()
    r, f = (
        torch.cat([r, r.new_tensor([9, 11, 7])]),
        torch.cat([f + 0.5, f.new_tensor([float("nan"), 0.2, 0.1])]),
    )
    r[-2] = float("nan")
    drawn = numbers(60, 2, seed=3)
    cases = {
        "cells without ties": (drawn[:, 0], drawn[:, 1] + drawn[:, 0]),
        "cells with ties": (r[:40], f[:40]),
        "cells that were not measured (NaN)": (r, f),
        "equal cells": (torch.tensor([5.0, 5.0, 4.0]), torch.tensor([1.0, 1.0, 1.0])),
    }

    def by(beats: Callable) -> Callable:
        return lambda retained, forgotten: _unbeaten(beats, retained, forgotten)

    right = by(lambda a, A, b, B: (a >= A) & (b <= B) & ((a > A) | (b < B)))

    def at_best(r: Tensor, f: Tensor) -> Tensor:
        score = (r - f).nan_to_num(-1e9)
        return score == score.max()

    def once(r: Tensor, f: Tensor) -> Tensor:
        seen, mask = set(), right(r, f)
        for k in mask.nonzero()[:, 0].tolist():
            mask[k] = (float(r[k]), float(f[k])) not in seen
            seen.add((float(r[k]), float(f[k])))
        return mask

    slips = {
        "a cell does not beat itself": by(lambda a, A, b, B: (a >= A) & (b <= B)),
        "a cell does not beat its equal: equal cells all stay": by(lambda a, A, b, B: (
            (a >= A) & (b <= B)) & ~torch.eye(a.shape[0], dtype=torch.bool)),
        "equal cells all stay, not only the first": once,
        "better in one and equal in the other is enough to beat a cell": (
            by(lambda a, A, b, B: (a > A) & (b < B))),
        "equal in what is left, and more kept: that beats a cell": by(lambda a, A, b, B: (a >= A) & (b < B)),
        "equal in what is kept, and less left: that beats a cell": by(lambda a, A, b, B: (a > A) & (b <= B)),
        "better in one alone beats nobody": by(lambda a, A, b, B: (a > A) | (b < B)),
        "a small forgotten accuracy is the better one": by(
            lambda a, A, b, B: (a >= A) & (b >= B) & ((a > A) | (b > B))),
        "a large retained accuracy is the better one": by(
            lambda a, A, b, B: (a <= A) & (b <= B) & ((a < A) | (b < B))),
        "the front are the cells that are not beaten; those are the others": lambda r, f: ~right(r, f),
        "a cell that was not measured is on no front": lambda r, f: right(r, f) | (r + f).isnan(),
        "a trade has many best cells, not one": at_best,
        "a mask with True on the front, not positions": lambda r, f: right(r, f).nonzero()[:, 0],
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("front: right")
