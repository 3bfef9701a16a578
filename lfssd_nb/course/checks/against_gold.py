"""Exercises of page 04 on a class: points lost, other answers, and doubts, each beside gold."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _each(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """``of(mine, other)`` against the original and against gold, ``[2]``."""
    return lambda mine, original, gold: torch.stack([of(mine, original), of(mine, gold)])


def _by_network(lost: Tensor) -> Tensor:
    """Mean over the targets of each network, then over the networks, of what is there."""
    return lost.nanmean(1).nanmean()


def _complete(mine: Tensor, original: Tensor, gold: Tensor) -> Tensor:
    holes = (mine + original + gold).isnan()
    return _lost(*(part.masked_fill(holes, float("nan")) for part in (mine, original, gold)))


_lost = _each(lambda mine, other: _by_network(other - mine))


def points_lost(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 04: ``answer(mine, original, gold)`` returns the points lost against the original and against
    gold, ``[2]``, from accuracies ``[networks, targets]`` with NaN for a case that was not run."""
    mine, original, gold = (90 + 4 * numbers(4, 5, seed=k) - (6, 0, 1)[k] for k in range(3))
    holes = [chosen(20, 5, seed=k).reshape(4, 5) == 0 for k in (1, 2, 3)]
    tables = [
        part.masked_fill(hole, float("nan")) for part, hole in zip((mine, original, gold), holes, strict=True)
    ]
    none = torch.arange(4)[:, None] == 2
    cases = {
        "all cases run": (mine, original, gold),
        "cases that were not run (NaN)": tuple(tables),
        "a network of which nothing was run": (mine.masked_fill(none, float("nan")), *tables[1:]),
        "a method that gains": (original + 1, mine, gold),
    }
    slips = {
        "subtract within each case, then average: a case that only one of the two has must not count": _each(
            lambda a, b: b.nanmean() - a.nanmean()),
        "subtract within each case, before the mean over targets": _each(
            lambda a, b: (b.nanmean(1) - a.nanmean(1)).nanmean()),
        "the targets of a network share it: average within each network first": _each(
            lambda a, b: (b - a).nanmean()),
        "the targets of a network share it: average over targets (columns) first, not over networks": _each(
            lambda a, b: (b - a).nanmean(0).nanmean()),
        "points *lost*: positive where the method is below": _each(lambda a, b: _by_network(a - b)),
        "a gain is a negative loss: no absolute value": _each(lambda a, b: _by_network((b - a).abs())),
        "gains count against losses: do not cut them off at 0": _each(
            lambda a, b: _by_network((b - a).clamp(min=0))),
        "first against the original, then against gold": lambda a, b, c: _lost(a, b, c).flip(0),
        "a case that was not run is left out; it is no loss of 0": _each(
            lambda a, b: (b - a).nan_to_num(0.0).mean()),
        "one missing case must not make the mean NaN: nanmean leaves it out": _each(
            lambda a, b: (b - a).mean()),
        "a case without gold can still be compared with the original": _complete,
        "points are differences of percentages, not shares of the other accuracy": _each(
            lambda a, b: _by_network(100 * (b - a) / b)),
        "the mean over networks, not the median": _each(lambda a, b: (b - a).nanmean(1).nanmedian()),
    }  # fmt: skip
    judge(answer, _lost, cases, slips)
    print("points_lost: right")


def _shares(answers: Tensor, n_classes: int) -> Tensor:
    return torch.bincount(answers, minlength=n_classes).double() / len(answers)


def _apart(of: Callable[[Tensor], Tensor]) -> Callable:
    """``of(p - q)``, the differences of the shares of each answer to the images of the forgotten class."""

    def distance(mine: Tensor, gold: Tensor, y: Tensor, forgotten: int, n_classes: int) -> float:
        p, q = (_shares(answers[y == forgotten], n_classes) for answers in (mine, gold))
        return float(of(p - q))

    return distance


def answers_apart(answer: Callable[[Tensor, Tensor, Tensor, int, int], float]) -> None:
    """Exercise 04: ``answer(mine, gold, y, forgotten, n_classes)`` returns how far apart two models' answers
    to the forgotten class are, half of the sum of ``|p_k - q_k|`` over the answers k."""
    y = torch.cat([chosen(40, 5, seed=1), torch.full((17,), 2)])
    mine, gold = (torch.where(chosen(57, 10, seed=k) < 6, chosen(57, 5, seed=k + 2), y) for k in (2, 3))
    cases = {
        "five classes": (mine, gold, y, 2, 5),
        "another forgotten class": (mine, gold, y, 0, 5),
        "an answer that nobody gives (of 7)": (mine, gold, y, 2, 7),
        "as many of each answer, to other images": (y.new_tensor([0, 1, 3]), y.new_tensor([1, 3, 0]),
                                                    y.new_tensor([2, 2, 2]), 2, 4),
        "no answer in common": (y.new_tensor([0, 1, 1]), y.new_tensor([3, 4, 1]),
                                y.new_tensor([2, 2, 1]), 2, 5),
    }  # fmt: skip
    right = _apart(lambda d: d.abs().sum() / 2)

    def differing(mask: Callable) -> Callable:
        return lambda m, g, y, f, n: float((m != g)[mask(y, f)].double().mean())

    slips = {
        "half of the sum, so that it goes from 0 to 1": _apart(lambda d: d.abs().sum()),
        "half of the sum over the answers, not their mean": _apart(lambda d: d.abs().mean()),
        "without |.| the differences add up to 0": _apart(lambda d: d.sum()),
        "all answers count, not the largest difference alone": _apart(lambda d: d.abs().max()),
        "absolute differences, not squared ones": _apart(lambda d: d.square().sum() / 2),
        "a distance, 0 for equal shares; that is its complement": _apart(lambda d: 1 - d.abs().sum() / 2),
        "a share from 0 to 1, not in percent": _apart(lambda d: 50 * d.abs().sum()),
        "the images of the forgotten class alone": (
            lambda m, g, y, f, n: right(m, g, torch.full_like(y, f), f, n)),
        "how often is each answer given? Do not compare image by image": differing(lambda y, f: y == f),
        "the images of the forgotten class alone, and not image by image": differing(lambda y, f: y >= 0),
        "the shares of the answers, not their numbers": lambda m, g, y, f, n: (
            right(m, g, y, f, n) * int((y == f).sum())),
        "divide by the images of the class, not by all images": lambda m, g, y, f, n: (
            right(m, g, y, f, n) * float((y == f).double().mean())),
        "the images *of* the class, not those that are called so": lambda m, g, y, f, n: float(
            (_shares(m[m == f], n) - _shares(g[g == f], n)).abs().sum() / 2),
        "what is still recognised is an answer, too: do not leave it out": lambda m, g, y, f, n: (
            _apart(lambda d: d[torch.arange(n) != f].abs().sum() / 2)(m, g, y, f, n)),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("answers_apart: right")


def _gap(of: Callable[[Tensor, Tensor], Tensor], kept: Callable = lambda y, f: y != f) -> Callable:
    """Mean of ``of(z, y)`` over the images of ``kept``, minus that over the forgotten class."""

    def gap(z: Tensor, y: Tensor, forgotten: int) -> Tensor:
        sure = of(z, y)
        return sure[kept(y, forgotten)].mean() - sure[y == forgotten].mean()

    return gap


def _beyond(gap: Callable) -> Callable:
    """The gap of a model minus that of gold."""
    return lambda z, z_gold, y, forgotten: float(gap(z, y, forgotten) - gap(z_gold, y, forgotten))


def confidence_gap(answer: Callable[[Tensor, Tensor, Tensor, int], float]) -> None:
    """Exercise 04: ``answer(z, z_gold, y, forgotten)`` returns how much less sure a model is of the
    forgotten class than of the others, beyond what gold is."""
    y, sizes = chosen(60, 4, seed=5), (3, 4, 5)
    z, gold, sure = (2.5 * numbers(60, 4, seed=k) for k in sizes)
    sure = sure + 6 * torch.nn.functional.one_hot(y, 4) * (y != 1)[:, None]
    cases = {
        "a model that doubts the forgotten class": (sure, gold, y, 1),
        "one that doubts the others": (z, sure, y, 1),
        "another forgotten class": (z, gold, y, 3),
        "logits of another size": (z * 3 + 5, gold, y, 0),
    }

    def top(z: Tensor, y: Tensor) -> Tensor:
        return z.softmax(1).max(1).values

    def of_label(z: Tensor, y: Tensor) -> Tensor:
        return z.softmax(1).gather(1, y[:, None])[:, 0]

    mine = _gap(top)
    right = _beyond(mine)

    def of_means(z: Tensor, y: Tensor, f: int) -> Tensor:
        p = z.softmax(1)
        return p[y != f].mean(0).max() - p[y == f].mean(0).max()

    def by_answer(z: Tensor, y: Tensor, f: int) -> Tensor:
        return mine(z, z.argmax(1), f)

    slips = {
        "gold has such a gap as well: subtract it": lambda z, g, y, f: float(mine(z, y, f)),
        "that is gold's gap alone": lambda z, g, y, f: float(mine(g, y, f)),
        "positive where the model doubts the forgotten class more than gold does": lambda *a: -right(*a),
        "the sign says who doubts more: no absolute value": lambda *a: abs(right(*a)),
        "subtract gold's gap, do not add it": lambda z, g, y, f: float(mine(z, y, f) + mine(g, y, f)),
        "probabilities, not logits: softmax first": _beyond(_gap(lambda z, y: z.max(1).values)),
        "the softmax is over the classes of one image, dim 1": _beyond(
            _gap(lambda z, y: z.softmax(0).max(1).values)),
        "the largest probability, whatever the label is": _beyond(_gap(of_label)),
        "the others are the images of the other classes, not all images": (
            _beyond(_gap(top, lambda y, f: y >= 0))),
        "the largest of each image, then the mean: not the largest of the mean": _beyond(of_means),
        "the images *of* the class (y), not those that are called so": _beyond(by_answer),
        "probabilities from 0 to 1, not percent": lambda *a: 100 * right(*a),
        "what of the images that must be kept? A gap takes two groups": _beyond(
            lambda z, y, f: -top(z, y)[y == f].mean()),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("confidence_gap: right")
