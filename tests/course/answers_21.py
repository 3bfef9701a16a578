"""Answers to the exercises of page 21."""

import itertools
import math

import torch
from scipy import stats


def every_way(n, what):
    return itertools.product(what, repeat=n)


def by_luck(odds, right, counts=lambda came, right: came >= right):
    """How many come true, one guess after the other."""
    chance = {0: 1.0}
    for p in odds.tolist():
        more = {}
        for came, q in chance.items():
            more[came] = more.get(came, 0.0) + q * (1 - p)
            more[came + 1] = more.get(came + 1, 0.0) + q * p
        chance = more
    return sum(q for came, q in chance.items() if counts(came, right))


def luck_with(counts):
    return lambda *a: by_luck(*a, counts=counts)


def by_polynomial(odds, right):
    """The coefficients of the product of (1 - p) + p z."""
    import numpy as np

    powers = np.ones(1)
    for p in odds.numpy():
        powers = np.convolve(powers, [1 - p, p])
    return float(powers[right:].sum())


def curve(odds, right, step=0.0):
    spread = math.sqrt(sum(p * (1 - p) for p in odds.tolist()))
    return 1 - stats.norm.cdf((right - step - float(odds.sum())) / spread)


def simulated(odds, right):
    draws = torch.rand(500, len(odds), generator=torch.Generator().manual_seed(1)) < odds
    return (draws.sum(1) >= right).double().mean().item()


def in_place(odds, right):
    odds.mul_(1.0).add_(0.1)
    return by_luck(odds, right)


def differences(mine, other, network, of=lambda a, b: a - b):
    return [
        sum(
            of(a, b)
            for a, b, j in zip(mine.tolist(), other.tolist(), network.tolist(), strict=True)
            if j == k
        )
        / network.tolist().count(k)
        for k in sorted({*network.tolist()})
    ]


def flipped(
    mine,
    other,
    network,
    size=abs,
    of=lambda a, b: a - b,
    each=lambda d: d,
    middle=lambda values: sum(values) / len(values),
    least=lambda there, here: there >= here - 1e-9,
    what=(1, -1),
):
    """Sign change by sign change."""
    d = each(differences(mine, other, network, of))
    here = size(middle(d))
    ways = [middle([s * v for s, v in zip(signs, d, strict=True)]) for signs in every_way(len(d), what)]
    return sum(least(size(way), here) for way in ways) / len(ways)


def flipped_with(**how):
    return lambda *a: flipped(*a, **how)


def half_of_them(mine, other, network):
    """The first network keeps its sign: the other half mirrors it."""
    d = torch.tensor(differences(mine, other, network))
    ways = torch.cartesian_prod(torch.tensor([1.0]), *[torch.tensor([1.0, -1.0])] * (len(d) - 1))
    sums = (ways.reshape(-1, len(d)) * d).sum(1).abs()
    return (sums > sums[0] - 1e-4).double().mean()


def of_sums(mine, other, network):
    kinds = network.unique()
    sums = torch.stack([(mine - other)[network == k].sum() for k in kinds])
    return flipped(sums, 0 * sums, kinds)


def dealt(mine, other, network):
    a, b = (differences(side, 0 * side, network) for side in (mine, other))
    both, n = a + b, len(a)
    here = abs(sum(a) - sum(b))
    ways = [abs(2 * sum(hand) - sum(both)) >= here - 1e-9 for hand in itertools.combinations(both, n)]
    return sum(ways) / len(ways)


def t_test(mine, other, network):
    d = differences(mine, other, network)
    return float(stats.ttest_1samp(d, 0.0).pvalue) if len({*d}) > 1 else 1.0


def one_at_a_time(mine, other, network):
    d = differences(mine, other, network)
    ways = [sum(d)] + [sum(d) - 2 * v for v in d]
    return sum(abs(way) >= abs(sum(d)) - 1e-9 for way in ways) / len(ways)


def median(values):
    return sorted(values)[(len(values) - 1) // 2]


def number(mine, other, network):
    return flipped(mine, other, network) * 2 ** len(network.unique())


def without_itself(mine, other, network):
    ways = 2 ** len(network.unique())
    return (number(mine, other, network) - 1) / (ways - 1)


def one_more(mine, other, network):
    ways = 2 ** len(network.unique())
    return (number(mine, other, network) + 1) / (ways + 1)


def changing(mine, other, network):
    mine -= other
    return flipped(mine, 0 * mine, network)


RIGHT = {"by_luck": by_luck, "flipped": flipped}
STYLES = {"by_luck": by_polynomial, "flipped": half_of_them}
WRONG = {
    "by_luck": [
        (lambda odds, k: by_luck(odds.mean().repeat(len(odds)), k), "odds of its own"),
        (lambda odds, k: by_luck(torch.full_like(odds, 0.5), k), "not every guess is a coin"),
        (luck_with(lambda came, right: came > right), "itself belongs to it"),
        (luck_with(lambda came, right: came == right), "not exactly as many"),
        (luck_with(lambda came, right: came < right), "not fewer"),
        (luck_with(lambda came, right: came <= right), "not at most"),
        (lambda odds, k: math.prod(odds[:k].tolist()) * math.prod((1 - odds[k:]).tolist()), "just the first"),
        (lambda odds, k: math.prod(odds[:k].tolist()), "and more of them"),
        (lambda odds, k: math.prod(sorted(odds.tolist())[::-1][:k]), "the likeliest ones"),
        (curve, "no normal curve"),
        (lambda *a: curve(*a, step=0.5), "half a step down"),
        (lambda odds, k: 1 - stats.poisson.cdf(k - 1, float(odds.sum())), "many and rare"),
        (lambda *a: min(1.0, 2 * by_luck(*a), 2 * by_luck(*a, counts=lambda came, right: came <= right)),
         "one side"),
        (lambda odds, k: 1 - math.prod((1 - odds).tolist()), "not at least one"),
        (lambda odds, k: float(odds.sum()), "not the number that luck"),
        (lambda *a: 100 * by_luck(*a), "not percent"),
        (lambda odds, k: by_luck(1 - odds, k), "not of failing"),
        (lambda odds, k: torch.tensor([by_luck(odds, n) for n in range(len(odds) + 1)]), "return one number"),
        (simulated, "expected .* got"),
        (in_place, "the arguments have changed"),
        (lambda odds, k: k / len(odds), "expected .* got"),
    ],
    "flipped": [
        (lambda a, b, k: flipped(a, b, torch.arange(len(k))), "not of a record"),
        (of_sums, "each network counts once"),
        (dealt, "deal no hands"),
        (flipped_with(size=lambda m: m), r"two sides: \|mean\|"),
        (flipped_with(size=lambda m: -m), "a large negative mean counts"),
        (flipped_with(least=lambda there, here: there > here + 1e-9), "equally far"),
        (without_itself, "is one of the sign changes"),
        (one_more, "add no further one"),
        (number, "not their number"),
        (flipped_with(least=lambda there, here: there < here - 1e-9), "not nearer"),
        (lambda *a: 2 * flipped(*a), "do not double"),
        (flipped_with(each=lambda d: [(v > 0) - (v < 0) for v in d]), "not its sign alone"),
        (flipped_with(middle=median), "not the median"),
        (flipped_with(what=(1, 0)), "no network is left out"),
        (flipped_with(of=lambda a, b: abs(a - b)), r"no \|.\| before the mean"),
        (t_test, "Student's t"),
        (one_at_a_time, "not all: two signs"),
        (flipped_with(middle=lambda values: max(values, key=abs)), "expected .* got"),
        (changing, "the arguments have changed"),
        (lambda a, b, k: torch.tensor(differences(a, b, k)), "return one number"),
    ],
}  # fmt: skip
