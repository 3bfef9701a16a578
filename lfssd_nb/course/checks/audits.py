"""Exercises of page 08: audits."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _auc(a: Tensor, b: Tensor, tie: float = 0.5) -> float:
    above, equal = a[:, None] > b, a[:, None] == b
    return float(above.double().mean() + tie * equal.double().mean())


def two_sided(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Exercise 08: ``answer(a, b)`` returns the two-sided distance ``|AUC - 1/2|`` of two lists of scores."""
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    cases = {
        "scores that are all higher": (high, low),
        "scores that are all lower": (low, high),
        "equal scores": (torch.ones(3), torch.ones(5)),
        "lists of unequal length": (numbers(30), numbers(7, seed=1) + 0.5),
        "many ties": (chosen(40, 4).double(), chosen(25, 3, seed=1).double()),
    }
    slips = {
        "that is the AUC itself: subtract 1/2": _auc,
        "that is the AUC itself, the other way round: subtract 1/2": lambda a, b: _auc(b, a),
        "two sides: take the absolute value, lower scores tell, too": lambda a, b: _auc(a, b) - 0.5,
        "two sides: take the absolute value, higher scores tell, too": lambda a, b: 0.5 - _auc(a, b),
        "a tie counts as half, not as nothing": lambda a, b: abs(_auc(a, b, 0.0) - 0.5),
        "a tie counts as half, not as a win": lambda a, b: abs(_auc(a, b, 1.0) - 0.5),
        "s ends at 1/2: without a factor of 2": lambda a, b: 2 * abs(_auc(a, b) - 0.5),
        "0.5 apart is where one number tells: do not fold at 1/2": lambda a, b: max(_auc(a, b), _auc(b, a)),
        "ranks, not means: compare every a with every b": lambda a, b: float((a.mean() - b.mean()).abs()),
        "not the square: |AUC - 1/2|": lambda a, b: (_auc(a, b) - 0.5) ** 2,
    }
    judge(answer, lambda a, b: abs(_auc(a, b) - 0.5), cases, slips)
    print("two_sided: right")


def _found(members: Tensor, strangers: Tensor, allowed: int) -> float:
    ordered = strangers.sort(descending=True).values
    return float((members > ordered[allowed]).double().mean()) if allowed < len(ordered) else 1.0


def true_positives(answer: Callable[[Tensor, Tensor, float], float]) -> None:
    """Exercise 08: ``answer(members, strangers, rate)`` returns the share of members above the lowest
    threshold that at most ``rate`` of the strangers are above."""
    high, low = numbers(40) + 1, numbers(20, seed=1)
    cases = {
        "5 of 20 strangers": (high, low, 0.25),
        "at most 1 % of 20: none": (high, low, 0.01),
        "at most 0.3 of 8: two": (high, low[:8], 0.3),
        "many ties": (chosen(30, 5).double(), chosen(16, 4, seed=1).double(), 0.25),
        "members between strangers": (torch.arange(12) + 0.5, torch.arange(8.0), 0.45),
        "all may be accused": (high - 4, low, 1.0),
    }
    slips = {
        "above the threshold: a stranger on it must not be accused": lambda m, s, rate: float(
            (m >= s.sort(descending=True).values[min(int(rate * len(s)), len(s) - 1)]).double().mean()),
        "at most `rate`: round the number of strangers down": lambda m, s, rate: _found(
            m, s, -int(-rate * len(s) // 1)),
        "at most `rate`: round down, not to the nearest number": lambda m, s, rate: _found(
            m, s, round(rate * len(s))),
        "if all may be accused, all members are found, those below every stranger, too": lambda m, s, rate: (
            _found(m, s, min(int(rate * len(s)), len(s) - 1))),
        "strangers come in whole numbers: the threshold is a score of one, not interpolated":
            lambda m, s, rate: float((m > s.quantile(1 - rate)).double().mean()),
        "as many strangers as allowed may be above: the threshold is one lower": lambda m, s, rate: _found(
            m, s, max(int(rate * len(s)) - 1, 0)),
        "a share, 0 to 1": lambda m, s, rate: 100 * _found(m, s, int(rate * len(s))),
        "a share of the members, not their number": lambda m, s, rate: len(m) * _found(
            m, s, int(rate * len(s))),
        "strangers set the threshold, members are counted": lambda m, s, rate: _found(
            s, m, int(rate * len(m))),
        "members found, not members missed": lambda m, s, rate: 1 - _found(m, s, int(rate * len(s))),
        "the threshold comes from the strangers alone": lambda m, s, rate: _found(
            m, torch.cat([m, s]), int(rate * len(torch.cat([m, s])))),
        "higher is more member-like: accuse from the top": lambda m, s, rate: _found(
            -m, -s, int(rate * len(s))),
        "that is the share of the strangers: whom does the threshold find among the members?":
            lambda m, s, rate: _found(s, s, int(rate * len(s))),
    }  # fmt: skip
    judge(answer, lambda m, s, rate: _found(m, s, int(rate * len(s))), cases, slips)
    print("true_positives: right")


def _odds(z: Tensor, y: Tensor) -> Tensor:
    own = z.gather(1, y[:, None])
    return (own - z.scatter(1, y[:, None], -torch.inf).logsumexp(1, keepdim=True))[:, 0]


def log_odds(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 08: ``answer(z, y)`` returns log(p_y / (1 - p_y)) of each row of logits ``[N, K]``."""
    z, y = numbers(8, 5), chosen(8, 5, seed=1)
    cases = {
        "eight images, five classes": (z, y),
        "two classes": (z[:, :2], y % 2),
        "certain networks: logits of hundreds": (900 * z, y),
        "as many images as classes": (z[:5], y[:5]),
    }

    def log_p(z: Tensor, y: Tensor) -> Tensor:
        return z.log_softmax(1).gather(1, y[:, None])[:, 0]

    def naive(z: Tensor, y: Tensor) -> Tensor:
        p = log_p(z, y).exp()
        return (p / (1 - p)).log()

    def margin(z: Tensor, y: Tensor) -> Tensor:
        others = z.scatter(1, y[:, None], -torch.inf)
        return z.gather(1, y[:, None])[:, 0] - others.amax(1)

    def overflowing(z: Tensor, y: Tensor) -> Tensor:
        others = z.scatter(1, y[:, None], -torch.inf)
        return z.gather(1, y[:, None])[:, 0] - others.exp().sum(1).log()

    slips = {
        "that is log p_y: subtract the logarithm of all that the other classes have": log_p,
        "a certain network has p = 1, and 1 - p = 0: use logits, z_y - logsumexp of the others": naive,
        "exp of a large logit overflows: torch.logsumexp": overflowing,
        "all other classes together, not the largest of them": margin,
        "positive where the label has more than half: log p_y - log(1 - p_y)": lambda z, y: -_odds(z, y),
        "of the label, not of the most probable class": lambda z, y: _odds(z, z.argmax(1)),
        "the logarithm of the odds": lambda z, y: _odds(z, y).exp(),
        "one number for each image [N]": lambda z, y: _odds(z, y).mean(),
        "one row of numbers [N], not a column": lambda z, y: _odds(z, y)[:, None],
        "of the label's class alone: an image has one number": lambda z, y: torch.stack(
            [_odds(z, torch.full_like(y, k)) for k in range(z.shape[1])], 1),
        "that is the loss, -log p_y": lambda z, y: -log_p(z, y),
        "p_y, as odds and as a logarithm": lambda z, y: log_p(z, y).exp(),
        "z_y minus the others' logsumexp, not minus their mean": lambda z, y: (
            (z.gather(1, y[:, None])[:, 0] * z.shape[1] - z.sum(1)) / (z.shape[1] - 1)),
    }  # fmt: skip
    judge(answer, _odds, cases, slips)
    print("log_odds: right")


def _rank(value: float, golds: Tensor, above: bool = True, ties: bool = True) -> int:
    beyond = golds > value if above else golds < value
    return int((beyond | (golds == value) if ties else beyond).sum())


def rank_p(answer: Callable[[float, Tensor], float]) -> None:
    """Exercise 08: ``answer(value, golds)`` returns the two-sided rank p-value of one network among gold
    ones: ``2 (1 + k) / (n + 1)``, 1 at most, with the k of the smaller side; a tie counts on both."""
    golds = numbers(19)
    cases = {
        "beyond all of 19": (5.0, golds),
        "below all of 19": (-5.0, golds),
        "in the middle": (float(golds.median()), golds),
        "above three quarters": (float(golds.sort().values[14]) + 1e-3, golds),
        "below all but two": (float(golds.sort().values[2]) - 1e-3, golds),
        "ties": (3.0, torch.tensor([1.0, 3.0, 3.0, 2.0, 1.0, 0.0, 2.0])),
        "three gold networks": (7.0, torch.tensor([1.0, 2.0, 3.0])),
    }

    def value(above: bool | None = None, ties: bool = True, own: int = 1, sides: int = 2, top: float = 1.0):
        def p(v: float, golds: Tensor) -> float:
            both = [_rank(v, golds, side, ties) for side in ((True, False) if above is None else (above,))]
            return min(sides * (own + min(both)) / (len(golds) + own), top)

        return p

    slips = {
        "two sides: twice the smaller one": value(sides=1),
        "the network itself is one of the n + 1: a p-value is never 0": value(own=0),
        "divide by n + 1: gold and the network itself": lambda v, g: min(
            2 * (1 + min(_rank(v, g), _rank(v, g, False))) / len(g), 1.0),
        "add 1 for the network itself: a p-value is never 0": lambda v, g: min(
            2 * min(_rank(v, g), _rank(v, g, False)) / (len(g) + 1), 1.0),
        "low values are as far from gold as high ones": value(above=True),
        "high values are as far from gold as low ones": value(above=False),
        "high values alone, and one side: take twice the smaller of both": value(above=True, sides=1),
        "low values alone, and one side: take twice the smaller of both": value(above=False, sides=1),
        "a tie counts on both sides": value(ties=False),
        "a probability is 1 at most": value(top=float("inf")),
        "ranks trust no distribution: not a normal p-value": lambda v, g: float(
            torch.erfc(abs((v - g.mean()) / g.std()) / 2**0.5)),
        "the smaller side, not the larger": lambda v, g: min(
            2 * (1 + max(_rank(v, g), _rank(v, g, False))) / (len(g) + 1), 1.0),
        "the p-value, not 1 minus it": lambda v, g: 1 - value()(v, g),
    }  # fmt: skip
    judge(answer, value(), cases, slips)
    print("rank_p: right")
