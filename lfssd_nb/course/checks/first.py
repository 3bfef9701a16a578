"""Exercises of page 00: two models side by side."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .judge import judge, numbers


def _percent(equal: Tensor) -> float:
    return 100 * float(equal.double().mean())


def _agreement(a: Tensor, b: Tensor) -> float:
    return _percent(a.argmax(1) == b.argmax(1))


def _counts_alike(a: Tensor, b: Tensor) -> float:
    counts = [z.argmax(1).bincount(minlength=z.shape[1]) for z in (a, b)]
    return 100 * float(torch.minimum(*counts).sum()) / len(a)


def agreement(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Exercise 00: ``answer(a, b)`` returns on how many percent of the images two models say the same, from
    their logits ``[N, K]``."""
    z = numbers(40, 4)
    near = z + 0.7 * numbers(40, 4, seed=1)
    cases = {
        "two models, 40 images": (z, near),
        "the same answers with other logits": (z, 3 * z + 1),
        "the same counts of answers, for other images": (near, near.roll(1, 0)),
        "one class with larger logits": (z, z + torch.tensor([3.0, 0.0, 0.0, 0.0])),
        "as many images as classes": (numbers(5, 5, seed=2), numbers(5, 5, seed=3)),
        "one image": (z[:1], -z[:1]),
    }
    slips = {
        "in percent, 0 to 100": lambda a, b: _agreement(a, b) / 100,
        "the share of equal answers, not of different ones": lambda a, b: 100 - _agreement(a, b),
        "a share of the images, not their number": lambda a, b: float((a.argmax(1) == b.argmax(1)).sum()),
        "an answer is the position of the largest logit: argmax, not max": lambda a, b: _percent(
            a.amax(1) == b.amax(1)),
        "compare answers: the logits need not be equal": lambda a, b: _percent(a == b),
        "one answer an image: argmax over the classes, argmax(1)": lambda a, b: _percent(
            a.argmax(0) == b.argmax(0)),
        "one answer an image: argmax(1), not one for all logits together": lambda a, b: _percent(
            a.argmax() == b.argmax()),
        "the answer is the largest logit, not the smallest": lambda a, b: _percent(
            a.argmin(1) == b.argmin(1)),
        "compare image by image: equal counts may come from different images": _counts_alike,
        "divide by the images, not by the classes": lambda a, b: _agreement(a, b) * len(a) / a.shape[1],
    }  # fmt: skip
    judge(answer, _agreement, cases, slips)
    print("agreement: right")


def _outside(value: float, golds: Sequence[float]) -> float:
    return max(value - max(golds), 0.0) + min(value - min(golds), 0.0)


def outside(answer: Callable[[float, Sequence[float]], float]) -> None:
    """Exercise 00: ``answer(value, golds)`` returns how far a value lies above (+) or below (-) the range of
    gold models, 0 within."""
    golds = [0.31, 0.12, 0.25]
    cases = {
        "above all gold models": (0.43, golds),
        "below all gold models": (0.0, golds),
        "within their range": (0.2, golds),
        "within, beside the lowest": (0.13, golds),
        "at the edge": (0.31, golds),
        "a single gold model": (0.5, [0.75]),
        "negative values, five gold models": (-3.5, [-1.0, -2.0, -1.5, -2.5, -0.5]),
    }
    slips = {
        "the sign tells the side: below is negative": lambda v, g: abs(_outside(v, g)),
        "positive is above gold, negative below": lambda v, g: -_outside(v, g),
        "below gold is as far from it as above: a negative number": lambda v, g: max(v - max(g), 0.0),
        "above gold counts as well: a positive number": lambda v, g: min(v - min(g), 0.0),
        "from the edge of the range, not from the mean": lambda v, g: v - sum(g) / len(g),
        "from the edge, not from the mean, and 0 within": lambda v, g: (
            v - sum(g) / len(g) if _outside(v, g) else 0.0),
        "within the range it is 0: not the distance to the highest": lambda v, g: v - max(g),
        "within the range it is 0: not the distance to the lowest": lambda v, g: v - min(g),
        "within the range it is 0: not the distance to the nearest gold model": lambda v, g: min(
            (v - gold for gold in g), key=abs),
        "one gold model is no range: use the lowest and the highest of all": lambda v, g: v - g[0],
        "the lowest and the highest: gold models come in any order": lambda v, g: (
            max(v - g[-1], 0.0) + min(v - g[0], 0.0)),
        "how far, not only whether": lambda v, g: float(_outside(v, g) != 0),
    }  # fmt: skip
    judge(answer, _outside, cases, slips)
    print("outside: right")
