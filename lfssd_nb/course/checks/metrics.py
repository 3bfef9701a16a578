"""Exercises of the pages that measure."""

from collections.abc import Callable

import torch
from torch import Tensor

from .hints import expect
from .judge import judge, numbers


def _product(factor: Callable[[float, float], float]) -> Callable:
    def value(mine: dict, gold: dict) -> float:
        found = 1.0
        for name in gold:
            found *= factor(mine[name], gold[name])
        return found

    return value


def tow(answer: Callable[[dict, dict], float]) -> None:
    """Exercise 07: ``answer(mine, gold)`` returns ToW from accuracies in percent."""
    gold = {"a": 0.0, "b": 100.0, "c": 90.0}
    cases = {
        "gold itself": (gold, gold),
        "one gap of 50 points": (gold | {"a": 50.0}, gold),
        "above gold by 10 points": (gold | {"c": 100.0}, gold),
        "below gold by 20 points": (gold | {"b": 80.0}, gold),
        "three gaps": ({"a": 50.0, "b": 80.0, "c": 95.0}, gold),
        "other names": ({"left": 30.0, "kept": 70.0}, {"left": 10.0, "kept": 95.0}),
    }
    slips = {
        "accuracies are percents here: divide the gaps by 100": _product(lambda m, g: 1 - abs(m - g)),
        "above gold is as far as below: take |gap|": _product(lambda m, g: 1 - (m - g) / 100),
        "below gold is as far as above: take |gap|": _product(lambda m, g: 1 - (g - m) / 100),
        "1 minus each gap: gold itself has ToW 1": _product(lambda m, g: abs(m - g) / 100),
        "multiply the factors, do not average": lambda m, g: sum(
            1 - abs(m[k] - g[k]) / 100 for k in g) / len(g),
        "multiply the factors, do not take 1 minus all gaps": lambda m, g: 1 - sum(
            abs(m[k] - g[k]) / 100 for k in g),
        "the gap is a difference, not a share of gold's": _product(
            lambda m, g: 1 - abs(m - g) / (g or 100.0)),
        "a gap of 10 points is 0.1, not its square": _product(lambda m, g: 1 - ((m - g) / 100) ** 2),
    }  # fmt: skip
    judge(answer, _product(lambda m, g: 1 - abs(m - g) / 100), cases, slips)
    print("tow: right")


def margin(answer: Callable[[Tensor], Tensor]) -> None:
    """Exercise 10: ``answer(z)`` returns the largest minus the second largest logit of each row of [N, K]."""
    cases = {
        "three rows, one of them with a tie": (
            torch.tensor([[1.0, 4.0, 2.0], [3.0, 3.0, -1.0], [-5.0, -1.0, -2.0]]),
        ),
        "two classes": (numbers(6, 2).float(),),
        "as many samples as classes": (numbers(4, 4, seed=1).float(),),
    }

    def right(z: Tensor) -> Tensor:
        return z.topk(2, 1).values @ z.new_tensor([1.0, -1.0])

    def without_ties(z: Tensor) -> Tensor:
        return z.amax(1) - z.masked_fill(z == z.amax(1, keepdim=True), -torch.inf).amax(1)

    slips = {
        "that is the largest logit: subtract the second largest": lambda z: z.amax(1),
        "the second largest, not the smallest": lambda z: z.amax(1) - z.amin(1),
        "the largest minus the second, not the other way round": lambda z: -right(z),
        "one number for each sample, not their sum": lambda z: right(z).sum(),
        "one number for each sample, not their mean": lambda z: right(z).mean(),
        "of each row, not of each column": lambda z: z.topk(2, 0).values.T @ z.new_tensor([1.0, -1.0]),
        "two logits that are equally large have a margin of 0: count both": without_ties,
        "logits, not probabilities": lambda z: right(z.softmax(1)),
        "both of them, not their difference: subtract": lambda z: z.topk(2, 1).values,
    }
    judge(answer, right, cases, slips)
    leaf = torch.tensor([[1.0, 4.0, 2.0]], requires_grad=True)
    found, hint = answer(leaf), "nothing may be detached: the score has to be differentiated"
    expect(found.requires_grad, hint)
    (slope,) = torch.autograd.grad(found.sum(), leaf, allow_unused=True)
    expect(slope is not None and torch.equal(slope, torch.tensor([[0.0, 1.0, -1.0]])), hint)
    print("margin: right")
