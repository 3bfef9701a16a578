"""Exercises of page 11, the published scale: its importance, how many networks a claim needs, and a
distance in bits."""

import functools
import math
from collections.abc import Callable

import torch
from scipy.stats import norm, t
from torch import Tensor

from .judge import chosen, judge, numbers


def _published(g: Tensor, size: int) -> Tensor:
    return torch.stack([part.mean(0).abs() for part in g.split(size)]).mean(0)


def partial_batch(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 11: ``answer(g, size)`` returns LFSSD's published importance ``|mean over a batch|``, averaged
    over batches, from per-sample gradients ``g [N, P]`` in the order of D."""
    g = numbers(9, 3)
    cases = {
        "batches of one": (g, 1),
        "one batch": (g, 9),
        "batches of 4, 4 and 1": (g, 4),
        "a batch of 20": (g, 20),
    }

    def weighted(g: Tensor, size: int) -> Tensor:
        return sum(len(part) * part.mean(0).abs() for part in g.split(size)) / len(g)

    def whole_batches(g: Tensor, size: int) -> Tensor:
        return _published(g[: len(g) // size * size], size) if len(g) >= size else g.sum(0) * 0

    slips = {
        "average before taking |.|: signs within a batch cancel": lambda g, size: g.abs().mean(0),
        "not one batch: take |.| of the mean of each": lambda g, size: g.mean(0).abs(),
        "|.| belongs to each batch, before they are averaged": lambda g, size: torch.stack(
            [part.mean(0) for part in g.split(size)]).mean(0).abs(),
        "the reference code weighs the last, smaller batch like a full one": weighted,
        "the last, smaller batch counts too": whole_batches,
        "batches of `size` in the order of D, the last is what is left: g.split": lambda g, size: torch.stack(
            [part.mean(0).abs() for part in g.chunk(-(-len(g) // size))]).mean(0),
        "average over batches, do not add them up": lambda g, size: torch.stack(
            [part.mean(0).abs() for part in g.split(size)]).sum(0),
        "the mean of a batch, not its sum": lambda g, size: torch.stack(
            [part.sum(0).abs() for part in g.split(size)]).mean(0),
    }  # fmt: skip
    judge(answer, _published, cases, slips)
    print("partial_batch: right")


@functools.cache
def student(n: int, share: float = 0.975) -> float:
    """The quantile of Student's t for a mean of n values."""
    return float(t.ppf(share, n - 1))


def by_network(values: Tensor, network: Tensor) -> Tensor:
    return torch.stack([values[network == k].mean() for k in network.unique()])


def _needed(deviation: Callable[[Tensor, Tensor], float], factor: Callable[[int], float]) -> Callable:
    """The smallest n with ``factor(n) * deviation / sqrt(n) <= points``."""

    def smallest(values: Tensor, network: Tensor, points: float) -> int:
        s, n = float(deviation(values, network)), 2
        while factor(n) * s / n**0.5 > points:
            n += 1
        return n

    return smallest


def networks_needed(answer: Callable[[Tensor, Tensor, float], int]) -> None:
    """Exercise 11: ``answer(values, network, points)`` returns the number of networks from which on the 95 %
    interval of the mean has a half-width of at most ``points``."""
    network = torch.cat([torch.arange(4).repeat_interleave(5), torch.tensor([0, 0, 0, 2, 9])])
    values = 3 * numbers(10, seed=4)[network] + numbers(25, seed=5)
    wide = 4 * numbers(3, seed=1)[torch.arange(12) % 3] + 6 * numbers(12, seed=2)
    cases = {
        "five networks with unequal numbers of records, to 1 point": (values, network, 1.0),
        "the same, to 3 points": (values, network, 3.0),
        "three networks, to 2.5 points": (wide, torch.arange(12) % 3, 2.5),
        "networks that agree": (torch.ones(6).double(), torch.arange(6) % 3, 0.5),
    }

    def of_networks(values: Tensor, network: Tensor) -> Tensor:
        return by_network(values, network).std()

    right = _needed(of_networks, student)

    def fixed_freedom(values: Tensor, network: Tensor, points: float) -> int:
        have = len(network.unique())
        return _needed(of_networks, lambda n: student(have))(values, network, points)

    slips = {
        "records of one network share it: the deviation of the networks' means, not of the records": _needed(
            lambda v, k: v.std(), student),
        "the sample deviation, with n - 1 in it": _needed(
            lambda v, k: by_network(v, k).std(correction=0), student),
        "few networks: Student's t, not 1.96": _needed(of_networks, lambda n: float(norm.ppf(0.975))),
        "Student's t for the n that you ask for, n - 1 degrees of freedom, not for those that you have": (
            fixed_freedom),
        "n networks have n - 1 degrees of freedom": _needed(of_networks, lambda n: student(n + 1)),
        "the half-width, not the whole interval": _needed(of_networks, lambda n: 2 * student(n)),
        "95 % between two ends: 2.5 % on either side": (
            _needed(of_networks, lambda n: student(n, 0.95))),
        "the interval of the *mean*: divide by the root of n": lambda v, k, points: next(
            n for n in range(2, 10_000) if student(n) * float(of_networks(v, k)) / n <= points),
        "the deviation, not the variance": _needed(lambda v, k: of_networks(v, k) ** 2, student),
        "the interval, not the standard error alone": _needed(of_networks, lambda n: 1.0),
        "all networks, not how many more than you have": lambda v, k, points: (
            right(v, k, points) - len(k.unique())),
        "networks, not records": lambda v, k, points: -(-right(v, k, points) * len(v) // len(k.unique())),
        "the smallest number that is enough, not the last that is not": lambda *a: right(*a) - 1,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("networks_needed: right")


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """In bits, of the rows; 0 log 0 = 0."""
    return torch.where(p > 0, p * (p / q).log2(), 0.0).sum(1)


def _js(p: Tensor, q: Tensor) -> Tensor:
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


def js_bits(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 11: ``answer(p, q)`` returns the Jensen-Shannon divergence in bits of each row of two tables
    of probabilities ``[N, K]``, which may hold zeros."""
    p, q = (numbers(7, 4, seed=k).mul(2).softmax(1) for k in (1, 2))
    holes = [chosen(28, 3, seed=k).reshape(7, 4) == 0 for k in (3, 4)]
    sparse = [(part.masked_fill(hole, 0.0) + 1e-300) for part, hole in zip((p, q), holes, strict=True)]
    sparse = [torch.where(part < 1e-200, 0.0, part / part.sum(1, keepdim=True)) for part in sparse]
    sure = torch.eye(3).double()
    cases = {
        "rows without zeros": (p, q),
        "equal rows": (p, p.clone()),
        "rows with zeros": tuple(sparse),
        "nothing in common": (sure, sure.roll(1, 0)),
        "one certain, one not": (sure, torch.full((3, 3), 1 / 3).double()),
    }

    def plain(p: Tensor, q: Tensor) -> Tensor:
        m = (p + q) / 2
        return ((p * (p / m).log2()).sum(1) + (q * (q / m).log2()).sum(1)) / 2

    def of_means(p: Tensor, q: Tensor) -> Tensor:
        return _js(p.mean(0, keepdim=True), q.mean(0, keepdim=True)).expand(len(p))

    slips = {
        "in bits: the logarithm to the base 2": lambda p, q: _js(p, q) * math.log(2),
        "0 log 0 is 0 here, and the computer says NaN: torch.where, or xlogy": plain,
        "half of each: between 0 and 1": lambda p, q: 2 * _js(p, q),
        "both sides: KL(q || m) as well": lambda p, q: _kl(p, (p + q) / 2),
        "both sides: KL(p || m) as well": lambda p, q: _kl(q, (p + q) / 2),
        "compare each with the mean of the two, m = (p + q) / 2, not with the other": lambda p, q: (
            _kl(p, q) + _kl(q, p)) / 2,
        "that is KL(p || q), which is infinite where q has a 0": _kl,
        "the mean of the two is (p + q) / 2: p + q adds up to 2": lambda p, q: (
            _kl(p, p + q) + _kl(q, p + q)) / 2,
        "from p to m, KL(p || m): not the other way round": lambda p, q: (
            _kl((p + q) / 2, p) + _kl((p + q) / 2, q)) / 2,
        "the divergence, not its root (the distance)": lambda p, q: _js(p, q).clamp(min=0).sqrt(),
        "one number for each row, not their mean": lambda p, q: _js(p, q).mean(),
        "a divergence for each row, not that of the mean rows": of_means,
        "a sum over the classes, not a mean": lambda p, q: _js(p, q) / p.shape[1],
    }  # fmt: skip
    judge(answer, _js, cases, slips)
    print("js_bits: right")
