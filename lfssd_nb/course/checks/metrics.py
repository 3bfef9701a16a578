"""Exercises of the pages that measure."""

from collections.abc import Callable

import torch
from torch import Tensor

from .hints import expect
from .judge import judge


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
    z = torch.tensor([[1.0, 4.0, 2.0], [3.0, 3.0, -1.0], [-5.0, -1.0, -2.0]])
    found = answer(z)
    expect(isinstance(found, Tensor), f"return a tensor, so that it can be differentiated; got {type(found)}")
    expect(tuple(found.shape) == (3,), f"one number for each sample, [3]; got {list(found.shape)}")
    expect(not torch.equal(found, z.max(1).values), "that is the largest logit: subtract the second largest")
    expect(bool((found >= 0).all()), "the largest minus the second, not the other way round")
    expect(
        not torch.equal(found, z.amax(1) - z.amin(1)),
        "that is largest minus smallest: take the second largest",
    )
    expect(float(found[1]) == 0, "two logits that are equally large have a margin of 0: count both")
    expect(torch.equal(found, torch.tensor([2.0, 0.0, 1.0])), f"expected [2, 0, 1]; got {found.tolist()}")
    leaf = z[:1].clone().requires_grad_()
    answer(leaf).sum().backward()
    expect(
        leaf.grad is not None and torch.equal(leaf.grad, torch.tensor([[0.0, 1.0, -1.0]])),
        "its gradient is 1 at the largest and -1 at the second largest logit: nothing may be detached",
    )
    print("margin: right")
