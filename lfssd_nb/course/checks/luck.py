"""Exercises of page 21, on evidence: what luck would have done, and what a few networks can show."""

import itertools
from collections.abc import Callable

import torch
from scipy.stats import binom, norm, poisson, t
from torch import Tensor

from .evidence import by_network
from .judge import judge, numbers


def _counts(odds: Tensor) -> Tensor:
    """The probabilities ``[n + 1]`` of 0, 1, ..., n guesses that come true."""
    found = torch.ones(1, dtype=torch.float64)
    for p in odds.double().tolist():
        found = (1 - p) * torch.cat([found, found.new_zeros(1)]) + p * torch.cat([found.new_zeros(1), found])
    return found


def by_luck(answer: Callable[[Tensor, int], float]) -> None:
    """Exercise 21: ``answer(odds, right)`` returns the probability that of guesses, which come true with the
    probabilities ``odds`` ``[n]``, at least ``right`` do."""
    mixed = torch.tensor([0.5, 0.9, 0.1, 0.5, 0.25, 0.05, 0.75, 0.5], dtype=torch.float64)
    sure = torch.tensor([0.3, 0.0, 1.0, 0.6, 1.0, 0.0, 0.2], dtype=torch.float64)
    cases = {
        "coins": (torch.full((6,), 0.5).double(), 4),
        "different odds": (mixed, 5),
        "the same odds, fewer right": (mixed, 2),
        "one that is certain, one that is impossible": (sure, 4),
        "all come true": (mixed[:5], 5),
        "none has to": (mixed, 0),
        "forty predictions": ((numbers(40, seed=3).sigmoid()), 22),
    }

    def tail(odds: Tensor, right: int) -> float:
        return float(_counts(odds)[right:].sum())

    def normal(shift: float) -> Callable:
        def curve(odds: Tensor, right: int) -> float:
            width = float((odds * (1 - odds)).sum()) ** 0.5
            return float(norm.sf((right - shift - float(odds.sum())) / width))

        return curve

    def these(odds: Tensor, right: int) -> float:
        return float(odds[:right].prod() * (1 - odds[right:]).prod())

    slips = {
        "each prediction has odds of its own: their mean makes a wider distribution": lambda odds, k: float(
            binom.sf(k - 1, len(odds), float(odds.mean()))),
        "not every guess is a coin: use the odds": lambda odds, k: float(
            binom.sf(k - 1, len(odds), 0.5)),
        "at least as many: `right` itself belongs to it": lambda odds, k: tail(odds, k + 1),
        "at least as many, not exactly as many": lambda odds, k: float(_counts(odds)[k]),
        "at least as many, not fewer": lambda odds, k: float(_counts(odds)[:k].sum()),
        "at least as many, not at most": lambda odds, k: float(_counts(odds)[: k + 1].sum()),
        "any of the predictions may come true, not just the first": these,
        "any of the predictions may come true, and more of them: not the first alone": lambda odds, k: float(
            odds[:k].prod()),
        "the likeliest ones are not the only ones that may come true": lambda odds, k: float(
            odds.sort(descending=True).values[:k].prod()),
        "whole numbers, and few: add up, no normal curve": normal(0.0),
        "a normal curve is near, half a step down or not: add up": normal(0.5),
        "Poisson's law is for many and rare events": lambda odds, k: float(
            poisson.sf(k - 1, float(odds.sum()))),
        "more than chance has one side": lambda odds, k: min(
            1.0, 2 * min(tail(odds, k), float(_counts(odds)[: k + 1].sum()))),
        "at least `right` of them, not at least one": lambda odds, k: float(1 - (1 - odds).prod()),
        "a probability, not the number that luck gets right": lambda odds, k: float(odds.sum()),
        "a probability from 0 to 1, not percent": lambda odds, k: 100 * tail(odds, k),
        "the odds of coming true, not of failing": lambda odds, k: tail(1 - odds, k),
    }  # fmt: skip
    judge(answer, tail, cases, slips)
    print("by_luck: right")


def _signs(n: int, values: tuple[float, float] = (1.0, -1.0)) -> Tensor:
    """All 2^n rows."""
    return torch.tensor([*itertools.product(values, repeat=n)], dtype=torch.float64)


def _unlikely(d: Tensor, signs: Callable = _signs, size: Callable = Tensor.abs) -> Tensor:
    """For each row of signs: is it as far from 0 as what was found?"""
    means = signs(len(d)) @ d
    return size(means) >= size(means[:1]) - 1e-9


def flipped(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Exercise 21: ``answer(mine, other, network)`` returns the share of all sign changes of the networks'
    mean differences under which their mean is at least as far from 0 as it is."""
    network = torch.tensor([7, 7, 0, 2, 2, 2, 2, 0, 5, 7, 7, 5])  # 1, 2 or 4 records each: no rounding
    mine = torch.tensor([5, 4, 8, 1, 2, 6, 4, 7, 3, 9, 2, 4]).double()
    other = torch.tensor([1, 4, 5, 3, 1, 5, 8, 4, 3, 2, 2, 3]).double()
    three = torch.tensor([1, 0, 0, 4, 4, 4, 4])
    six = torch.tensor([0, 1, 2, 2, 3, 4, 4, 4, 4, 5])
    far, near = torch.tensor([9, 1, 4, 6, 7, 5, 1, 2, 8, 3.0]), torch.tensor([4, 2, 2, 3, 4, 5, 1, 2, 5, 2.0])
    cases = {
        "four networks with unequal numbers of records": (mine, other, network),
        "three networks, one direction": (far[:7], near[:7] - 3, three),
        "six networks": (far, near, six),
        "six networks, a negative difference": (near - 1, far + 1, six),
        "a network without a difference": (mine, torch.where(network == 7, mine, other), network),
        "no difference at all": (mine, mine.clone(), network),
        "a record for each network": (mine[:5], other[:5] + 1, torch.arange(5)),
    }
    cases = {what: (a.double(), b.double(), k) for what, (a, b, k) in cases.items()}

    def by(share: Callable[[Tensor], float], differ: Callable = lambda a, b: a - b) -> Callable:
        return lambda a, b, k: float(share(by_network(differ(a, b), k)))

    def usual(d: Tensor, **how) -> float:
        return _unlikely(d, **how).double().mean()

    def strict(d: Tensor) -> float:
        means = (_signs(len(d)) @ d).abs()
        return (means > means[0] + 1e-9).double().mean()

    def pooled(a: Tensor, b: Tensor, k: Tensor) -> float:
        return float(usual(torch.stack([(a - b)[k == each].sum() for each in k.unique()])))

    def unpaired(a: Tensor, b: Tensor, k: Tensor) -> float:
        """All ways to deal the means of both methods into two equal hands"""
        both, n = torch.cat([by_network(a, k), by_network(b, k)]), len(k.unique())
        hands = torch.tensor([*itertools.combinations(range(2 * n), n)])
        apart = (2 * both[hands].sum(1) - both.sum()).abs()
        return float((apart >= apart[0] - 1e-9).double().mean())

    def student(d: Tensor) -> float:
        spread = float(d.std())
        return 2 * t.sf(abs(float(d.mean())) / (spread / len(d) ** 0.5), len(d) - 1) if spread else 1.0

    slips = {
        "records of one network share it: change the sign of a network, not of a record": lambda a, b, k: (
            float(usual(a - b))),
        "each network counts once: the mean of the networks' means, not of all records": pooled,
        "both methods start from the same network: change signs of differences, deal no hands": unpaired,
        "far from 0 has two sides: |mean|": by(lambda d: usual(d, size=lambda m: m)),
        "far from 0 has two sides: a large negative mean counts, and a large positive one": by(
            lambda d: usual(d, size=lambda m: -m)),
        "at least as far: those that are equally far count": by(strict),
        "what was found is one of the sign changes: count it": by(
            lambda d: (_unlikely(d).sum() - 1) / (2 ** len(d) - 1)),
        "all sign changes are listed and the given one is among them: add no further one": by(
            lambda d: (_unlikely(d).sum() + 1) / (2 ** len(d) + 1)),
        "a share of all sign changes, not their number": by(lambda d: _unlikely(d).sum()),
        "as far or farther, not nearer": by(lambda d: 1 - usual(d)),
        "|mean| has both sides already: do not double": by(lambda d: 2 * usual(d)),
        "the size of a difference counts, not its sign alone": by(lambda d: usual(d.sign())),
        "the mean, not the median": by(
            lambda d: (lambda m: (m >= m[0] - 1e-9).double().mean())(
                (_signs(len(d)) * d).median(1).values.abs())),
        "a changed sign is -1: no network is left out": by(
            lambda d: usual(d, signs=lambda n: _signs(n, (1.0, 0.0)))),
        "a difference keeps its sign within a network: no |.| before the mean": by(
            usual, lambda a, b: (a - b).abs()),
        "that is Student's t, which takes differences for normal: count sign changes": by(student),
        "one network at a time is not all: two signs for each, 2^n in all": by(
            lambda d: usual(d, signs=lambda n: torch.cat(
                [torch.ones(1, n), 1 - 2 * torch.eye(n)]).double())),
    }  # fmt: skip
    judge(answer, by(usual), cases, slips)
    print("flipped: right")
