"""Exercises of the pages that measure."""

from collections.abc import Callable

import torch
from torch import Tensor

from .hints import expect
from .judge import chosen, judge


def _per_class(of: Callable[[Tensor, Tensor], tuple]) -> Callable:
    """A number for each class c, from ``of(predicted == c, y == c)``: a count over a count."""

    def table(predicted: Tensor, y: Tensor, n_classes: int) -> Tensor:
        rows = [of(predicted == c, y == c) for c in range(n_classes)]
        return torch.tensor([100 * float(a) / float(b) if b else float("nan") for a, b in rows]).double()

    return table


def per_class(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """Exercise 04: ``answer(predicted, y, n_classes)`` returns the accuracy (%) of each class."""
    right = _per_class(lambda said, true: ((said & true).sum(), true.sum()))
    y = chosen(40, 4, seed=1)
    cases = {
        "two classes": (torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2),
        "four classes of unequal size": (torch.where(chosen(40, 3) > 0, y, chosen(40, 4, seed=2)), y, 4),
        "a class without images (of 5)": (chosen(40, 5, seed=3), y, 5),
    }
    slips = {
        "divide by the images *of* the class, not by the answers that name it": _per_class(
            lambda said, true: ((said & true).sum(), said.sum())),
        "in percent, please": lambda p, y, n: right(p, y, n) / 100,
        "one number for each class, not one for all": lambda p, y, n: 100 * (p == y).double().mean(),
        "divide by the images of the class, not by all images": _per_class(
            lambda said, true: ((said & true).sum(), len(true))),
        "right is what is of the class *and* called so": _per_class(
            lambda said, true: ((said == true).sum(), len(true))),
        "a class without images has no accuracy: NaN, not 0": lambda p, y, n: right(p, y, n).nan_to_num(0.0),
        "a class without images has none: NaN, not 100": lambda p, y, n: right(p, y, n).nan_to_num(100.0),
        "the share that is wrong is the other one": lambda p, y, n: 100 - right(p, y, n),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("per_class: right")


def _accuracy(predicted: Tensor, y: Tensor, chosen_ones: Tensor) -> float:
    return 100 * float((predicted == y)[chosen_ones].double().mean())


def _groups(sub: Tensor, forgotten: int, sibling: int) -> tuple[Tensor, Tensor]:
    return (sub != forgotten) & (sub != sibling), sub == sibling


def _gap(predicted: Tensor, y: Tensor, sub: Tensor, forgotten: int, sibling: int) -> float:
    others, siblings = _groups(sub, forgotten, sibling)
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
            _accuracy(p, y, _groups(s, f, b)[0]) - _accuracy(p, y, s == f)),
        "in points, 0 to 100": lambda *a: _gap(*a) / 100,
        "right is predicted == y, the class; sub says which": lambda p, y, s, f, b: _gap(p, s, s, f, b),
        "the others are 0 and 8 on the page, but `forgotten` and `sibling` here": lambda p, y, s, f, b: (
            _gap(p, y, s, 8, 0)),
        "every image of the others counts alike, not every sub-class": every_sub_class,
    }  # fmt: skip
    judge(answer, _gap, cases, slips)
    print("sibling_gap: right")


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
