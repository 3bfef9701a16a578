"""Exercise of page 06: does a method come nearer to gold than doing nothing?"""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge

Verdict = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def _counts(closer: Callable[[Tensor, Tensor, Tensor], Tensor], tie: Callable = torch.le) -> Verdict:
    """``[3]``: nearer, further, alike, from ``closer(mine, nothing, gold)``, by how much mine is nearer."""

    def counts(mine: Tensor, nothing: Tensor, gold: Tensor, slack: float) -> Tensor:
        by = closer(mine, nothing, gold)
        by = by[~by.isnan()]
        alike = tie(by.abs(), torch.full_like(by, slack))
        return torch.stack([((by > 0) & ~alike).sum(), ((by < 0) & ~alike).sum(), alike.sum()])

    return counts


def beats_nothing(answer: Verdict) -> None:
    """Exercise 06: ``answer(mine, nothing, gold, slack)`` returns in how many cases a method is nearer to
    gold than doing nothing, further from it, and alike to within ``slack``, ``[3]``."""
    nothing, gold, mine = (98 + chosen(30, 9, seed=k).double() / 2 - 2 for k in (1, 2, 3))
    holes = [torch.where(chosen(30, 6, seed=k) == 0, float("nan"), part)
             for k, part in ((4, mine), (5, nothing), (6, gold))]  # fmt: skip
    cases = {
        "thirty cases, a slack of 0.5": (mine, nothing, gold, 0.5),
        "no slack": (mine, nothing, gold, 0.0),
        "cases that were not run (NaN)": (*holes, 0.5),
        "a method that changes nothing": (nothing.clone(), nothing, gold, 0.0),
        "a method that is always worse": (gold - 40, nothing, gold, 1.0),
    }

    def by(mine: Tensor, nothing: Tensor, gold: Tensor) -> Tensor:
        return (nothing - gold).abs() - (mine - gold).abs()

    right = _counts(by)

    def ties_to(place: int) -> Verdict:
        def counts(*a) -> Tensor:
            found = right(*a)
            found[place] += found[2]
            return found * torch.tensor([1, 1, 0])

        return counts

    def holes_alike(m: Tensor, n: Tensor, g: Tensor, slack: float) -> Tensor:
        missing = int((m + n + g).isnan().sum())
        return right(m, n, g, slack) + torch.tensor([0, 0, missing])

    slips = {
        "lower is not better: how far is each from gold?": _counts(lambda m, n, g: n - m),
        "higher is not better: how far is each from gold?": _counts(lambda m, n, g: m - n),
        "above gold is as far as below: |mine - gold|, |nothing - gold|": _counts(
            lambda m, n, g: (n - g) - (m - g)),
        "compare with gold of the same case, not with its mean": (
            _counts(lambda m, n, g: by(m, n, g.nanmean()))),
        "compare with nothing done in the same case, not with its mean": _counts(
            lambda m, n, g: (n - g).abs().nanmean() - (m - g).abs()),
        "nearer first: the smaller distance to gold": lambda *a: right(*a)[[1, 0, 2]],
        "within the slack they are alike, not nearer": ties_to(0),
        "within the slack they are alike, not further": ties_to(1),
        "exactly at the slack is still alike": _counts(by, torch.lt),
        "differences within the slack say nothing: use it": lambda m, n, g, slack: right(m, n, g, 0.0),
        "a case that was not run is not alike: leave it out": holes_alike,
        "numbers of cases, not shares": lambda *a: right(*a) / right(*a).sum(),
        "the slack is for the two distances, not for the distance to gold": lambda m, n, g, slack: right(
            *(torch.where((part - g).abs() <= slack, g, part) for part in (m, n)), g, 0.0),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("beats_nothing: right")
