"""Exercises of page 05 on who loses: the sibling, the siblings, and the others."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge

PAIRS = {0: 8, 8: 0, 1: 7, 7: 1, 2: 6, 6: 2, 3: 5, 5: 3, 4: 9, 9: 4}  # of the page


def _accuracy(predicted: Tensor, y: Tensor, chosen_ones: Tensor) -> float:
    return 100 * float((predicted == y)[chosen_ones].double().mean())


def _two_groups(sub: Tensor, forgotten: int, sibling: int) -> tuple[Tensor, Tensor]:
    return (sub != forgotten) & (sub != sibling), sub == sibling


def _gap(predicted: Tensor, y: Tensor, sub: Tensor, forgotten: int, sibling: int) -> float:
    others, siblings = _two_groups(sub, forgotten, sibling)
    return _accuracy(predicted, y, others) - _accuracy(predicted, y, siblings)


def sibling_gap(answer: Callable[[Tensor, Tensor, Tensor, int, int], float]) -> None:
    """Exercise 05: ``answer(predicted, y, sub, forgotten, sibling)`` returns how many points of accuracy
    the sibling is below the sub-classes that are neither forgotten nor sibling."""
    sub = torch.cat([chosen(50, 7), torch.full((20,), 2)])  # 2 is more frequent than the others
    y = sub % 3
    said = torch.where(chosen(70, 10, seed=1) < 3, (y + 1) % 3, y)
    poor, good = (torch.where(sub == at, (y + 1) % 3, said) for at in (4, 2))
    cases = {
        "a sibling that has lost": (torch.where(chosen(70, 2) > 0, poor, said), y, sub, 1, 4),
        "a sibling that is better than the others": (torch.where(sub == 5, y, said), y, sub, 2, 5),
        "sub-classes of unequal size": (good, y, sub, 6, 3),
    }

    def every_sub_class(predicted, y, sub, forgotten, sibling):
        means = [
            _accuracy(predicted, y, sub == c) for c in sub.unique().tolist() if c not in (forgotten, sibling)
        ]
        return sum(means) / len(means) - _accuracy(predicted, y, sub == sibling)

    slips = {
        "the sign: positive where the sibling is below the others": lambda *a: -_gap(*a),
        "the sign matters: where the sibling is better, the gap is negative": lambda *a: abs(_gap(*a)),
        "the forgotten sub-class itself belongs to neither group": lambda p, y, s, f, b: (
            _accuracy(p, y, s != b) - _accuracy(p, y, s == b)),
        "the others are those that are neither, the sibling not among them": lambda p, y, s, f, b: (
            _accuracy(p, y, s != f) - _accuracy(p, y, s == b)),
        "the sibling, not the forgotten sub-class": lambda p, y, s, f, b: (
            _accuracy(p, y, _two_groups(s, f, b)[0]) - _accuracy(p, y, s == f)),
        "in points, 0 to 100": lambda *a: _gap(*a) / 100,
        "right is predicted == y, the class; sub says which": lambda p, y, s, f, b: _gap(p, s, s, f, b),
        "the others are 0 and 8 on the page, but `forgotten` and `sibling` here": lambda p, y, s, f, b: (
            _gap(p, y, s, 8, 0)),
        "every image of the others counts alike, not every sub-class": every_sub_class,
    }  # fmt: skip
    judge(answer, _gap, cases, slips)
    print("sibling_gap: right")


def _siblings(y: Tensor, sub: Tensor, forgotten: int) -> list[int]:
    own = y[sub == forgotten][0]
    return [c for c in sub[y == own].unique().tolist() if c != forgotten]


def _groups(y: Tensor, sub: Tensor, forgotten: int) -> dict[str, list[int]]:
    siblings = _siblings(y, sub, forgotten)
    others = [c for c in sub.unique().tolist() if c != forgotten and c not in siblings]
    return {"forgotten": [forgotten], "siblings": siblings, "others": others}


def _alike(lost: Tensor, sub: Tensor, group: list[int]) -> float:
    """Mean over sub-classes of the mean over their images."""
    return float(torch.tensor([float(lost[sub == c].mean()) for c in group]).double().mean())


def _pooled(lost: Tensor, sub: Tensor, group: list[int]) -> float:
    return float(lost[torch.isin(sub, torch.tensor(group))].mean())


def _points(before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    return 100 * ((before == y).double() - (after == y).double())


def _by_group(points: Callable = _points, mean: Callable = _alike, groups: Callable = _groups) -> Callable:
    def losses(before: Tensor, after: Tensor, y: Tensor, sub: Tensor, forgotten: int) -> dict[str, float]:
        lost = points(before, after, y)
        return {name: mean(lost, sub, group) for name, group in groups(y, sub, forgotten).items()}

    return losses


def group_losses(answer: Callable[[Tensor, Tensor, Tensor, Tensor, int], dict[str, float]]) -> None:
    """Exercise 05: ``answer(before, after, y, sub, forgotten)`` returns the points that the ``forgotten``
    sub-class, its ``siblings`` and the ``others`` lost, every sub-class counting alike."""
    sub = torch.cat([chosen(90, 10, seed=4), torch.full((30,), 1), torch.full((20,), 7)])
    y = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])[sub]  # 9 is alone in its class

    def answers(rates: list[int], seed: int) -> Tensor:
        return torch.where(chosen(140, 20, seed=seed) < torch.tensor(rates)[sub], (y + 1) % 4, y)

    before, after = answers([1, 2, 1, 2, 3, 1, 2, 1, 4, 2], 1), answers([15, 9, 3, 4, 2, 3, 5, 1, 7, 3], 2)
    cases = {
        "two siblings": (before, after, y, sub, 0),
        "three siblings": (before, after, y, sub, 4),
        "one sibling, which gains": (after, before, y, sub, 8),
        "no siblings, a sub-class that is alone in its class": (before, after, y, sub, 9),
    }

    def with_groups(change: Callable[[dict, Tensor, Tensor, int], dict]) -> Callable:
        return _by_group(groups=lambda y, sub, f: _groups(y, sub, f) | change(_groups(y, sub, f), y, sub, f))

    right = _by_group()
    slips = {
        "every sub-class counts alike: first the mean of each, then of the group": _by_group(mean=_pooled),
        "points lost: before minus after": _by_group(lambda b, a, y: -_points(b, a, y)),
        "a gain is a negative loss: no absolute value": lambda *a: {k: abs(v) for k, v in right(*a).items()},
        "in points, 0 to 100": lambda *a: {k: v / 100 for k, v in right(*a).items()},
        "what was wrong before is not lost: compare with `before`": _by_group(
            lambda b, a, y: 100 * (a != y).double()),
        "a changed answer need not be a lost one: compare with y": _by_group(
            lambda b, a, y: 100 * (b != a).double()),
        "the siblings share the *class* of the forgotten sub-class: read them off y and sub": with_groups(
            lambda g, y, sub, f: {"siblings": [PAIRS[f]],
                                  "others": [c for c in range(10) if c not in (f, PAIRS[f])]}),
        "a class may have several siblings: take them all": with_groups(
            lambda g, y, sub, f: {"siblings": g["siblings"][:1]}),
        "the forgotten sub-class is no sibling of itself": with_groups(
            lambda g, y, sub, f: {"siblings": [f, *g["siblings"]]}),
        "the siblings are not among the others": with_groups(
            lambda g, y, sub, f: {"others": g["others"] + g["siblings"]}),
        "the forgotten sub-class is not among the others": with_groups(
            lambda g, y, sub, f: {"others": [f, *g["others"]]}),
        "without a sibling there is no loss to speak of: NaN, not 0": lambda *a: {
            k: 0.0 if v != v else v for k, v in right(*a).items()},
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("group_losses: right")
