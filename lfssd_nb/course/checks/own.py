"""Exercises of page 10 on things of one's own: a rule without a jump, and a split of people."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers


def _power(i_f: Tensor, i_d: Tensor, alpha: float, lam: float) -> Tensor:
    return (alpha * i_d / i_f) ** lam


def _where_seen(of: Callable) -> Callable:
    """A factor of ``of``, and 1 where I(D) is 0."""

    def rule(i_f: Tensor, i_d: Tensor, alpha: float, lam: float) -> Tensor:
        return torch.where(i_d > 0, of(i_f, i_d, alpha, lam), 1.0)

    return rule


def soft(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> None:
    """Exercise 10: ``answer(i_f, i_d, alpha, lam)`` returns the factors
    ``min((alpha I_D / I_F)^lam, 1)``, and 1 where I_D = 0."""
    i_f, i_d = (numbers(5, 4, seed=k).exp() for k in (3, 4))
    holes, gone = i_d.clone(), i_f.clone()
    holes[0], gone[:, 1] = 0, 0
    nothing = i_f.clone()
    nothing[0] = 0
    cases = {
        "a power of 2": (i_f, i_d, 0.7, 2.0),
        "a root": (i_f, i_d, 1.5, 0.5),
        "lambda 0": (i_f, i_d, 0.7, 0.0),
        "some I(D) = 0": (i_f, holes, 1.5, 2.0),
        "some I(D_f) = 0": (gone, i_d, 0.7, 0.5),
        "both 0": (nothing, holes, 1.2, 0.5),
        "one row of weights": (i_f[0], i_d[0], 0.25, 3.0),
    }

    def clipped(*given) -> Tensor:
        return _power(*given).clamp(max=1)

    right = _where_seen(clipped)

    def both_zero(f: Tensor, d: Tensor, alpha: float, lam: float) -> Tensor:
        return torch.where((d > 0) | (f == 0), right(f, d, alpha, lam), 0.0**lam)

    def unneeded(f: Tensor, d: Tensor, alpha: float, lam: float) -> Tensor:
        return torch.where(f > 0, right(f, d, alpha, lam), 0.0)

    slips = {
        "a factor is at most 1: no weight grows": _where_seen(_power),
        "of a weight with I(D) = 0 nothing is known: its factor is 1, also where both are 0": clipped,
        "of a weight with I(D) = 0 nothing is known: its factor is 1, not 0": both_zero,
        "0 / 0 is NaN: where both importances are 0 the factor is 1": lambda f, d, a, lam: torch.where(
            (d > 0) | (f == 0), clipped(f, d, a, lam), 1.0),
        "what D_f does not need keeps its factor of 1": unneeded,
        "lambda is an exponent here, not a factor": _where_seen(
            lambda f, d, a, lam: (lam * a * d / f).clamp(max=1)),
        "alpha belongs into the factor, or there is a jump where a weight is selected": _where_seen(
            lambda f, d, a, lam: torch.where(f > a * d, (d / f) ** lam, 1.0)),
        "that is LFSSD's own rule, which jumps": _where_seen(
            lambda f, d, a, lam: torch.where(f > a * d, (lam * d / f).clamp(max=1), 1.0)),
        "I(D) divided by I(D_f), not the other way round": _where_seen(
            lambda f, d, a, lam: ((f / (a * d)) ** lam).clamp(max=1)),
        "the power is of the whole ratio, alpha too": _where_seen(
            lambda f, d, a, lam: (a * (d / f) ** lam).clamp(max=1)),
        "the exponent is lambda: use it": _where_seen(lambda f, d, a, lam: clipped(f, d, a, 1.0)),
        "the exponent is lambda, not 1 / lambda": _where_seen(
            lambda f, d, a, lam: clipped(f, d, a, 1 / lam if lam else 9.0)),
        "the factor is what is left, not what is taken away": lambda *given: 1 - right(*given),
        "a factor, not only whether the weight is selected": _where_seen(
            lambda f, d, a, lam: (f > a * d).double()),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("soft: right")


Split = tuple[Tensor, Tensor]


def _sides(test: Tensor) -> Split:
    return (~test).nonzero()[:, 0], test.nonzero()[:, 0]


def _whole(people: Tensor, full: Callable[[int, float], bool], order: Callable | None = None) -> Split:
    """Whole people, until ``full(recordings taken, of the next person)``."""
    taken: list[int] = []
    ids = people.unique().flip(0) if order is None else order(people)
    for each in ids.tolist():
        if full(int(torch.isin(people, torch.tensor(taken)).sum()), int((people == each).sum())):
            break
        taken.append(each)
    return _sides(torch.isin(people, torch.tensor(taken)))


def _by_size(people: Tensor) -> Tensor:
    ids, counts = people.unique(return_counts=True)
    return ids[counts.argsort(descending=True, stable=True)]


def people_apart(answer: Callable[[Tensor, float], Split]) -> None:
    """Exercise 10: ``answer(people, share)`` returns the positions (train, test) of recordings, with whole
    people in the test set, the highest number first, until it holds ``share`` of the recordings."""
    mixed = torch.tensor([4, 0, 9, 4, 2, 0, 9, 2, 2, 4, 0, 2, 9, 4, 0, 2, 2, 0, 4, 2])
    cases = {
        "a fifth of 20 recordings of four people": (mixed, 0.2),
        "half of them": (mixed, 0.5),
        "a share that is reached exactly": (torch.tensor([1, 3, 1, 5, 3, 1, 5, 5]), 0.375),
        "a share smaller than any person": (torch.tensor([6, 6, 2, 2, 2, 6, 2, 2, 2, 2]), 0.05),
        "recordings in the order of people": (torch.arange(6).repeat_interleave(4), 0.4),
    }

    def until(people: Tensor, share: float, **how) -> Split:
        return _whole(people, lambda have, more: have >= share * len(people), **how)

    def one_more(people: Tensor, share: float) -> Split:
        have = len(people[until(people, share)[1]].unique())
        return _sides(torch.isin(people, people.unique().flip(0)[: have + 1]))

    def cut(people: Tensor, share: float, order: Tensor) -> Split:
        test = torch.zeros(len(people), dtype=torch.bool)
        test[order[len(people) - -int(-share * len(people) // 1) :]] = True
        return _sides(test)

    def of_each(people: Tensor, share: float) -> Split:
        test = torch.zeros(len(people), dtype=torch.bool)
        for each in people.unique():
            own = (people == each).nonzero()[:, 0]
            test[own[int((1 - share) * len(own)) :]] = True
        return _sides(test)

    def masks(people: Tensor, share: float) -> Split:
        test = torch.zeros(len(people), dtype=torch.bool)
        test[until(people, share)[1]] = True
        return ~test, test

    def of_people(people: Tensor, share: float) -> Split:
        ids = people.unique()
        return _sides(torch.isin(people, ids[len(ids) - max(1, round(share * len(ids))) :]))

    slips = {
        "a person lies on one side: cut between people, not between recordings": lambda p, s: cut(
            p, s, torch.arange(len(p))),
        "sorted by person and cut: the person at the cut lies on both sides": lambda p, s: cut(
            p, s, p.argsort(stable=True)),
        "a part of everybody's recordings puts everybody on both sides": of_each,
        "the test set holds at least the share: go on until it does": lambda p, s: _whole(
            p, lambda have, more: have + more > s * len(p)),
        "a share that is reached exactly is reached": lambda p, s: _whole(
            p, lambda have, more: have > s * len(p)),
        "stop as soon as the share is reached": one_more,
        "a share of the recordings, not of the people: some have more": of_people,
        "the highest number first": lambda p, s: until(p, s, order=Tensor.unique),
        "by their numbers, not by how many recordings they have": lambda p, s: until(p, s, order=_by_size),
        "train first, then test": lambda p, s: until(p, s)[::-1],
        "positions, not masks": masks,
        "positions of recordings, not the numbers of people": lambda p, s: tuple(
            p[side].unique() for side in until(p, s)),
        "positions in the order of the recordings": lambda p, s: tuple(
            side[p[side].argsort(stable=True)] for side in until(p, s)),
        "numbers of people have gaps: count recordings": lambda p, s: _sides(p > (1 - s) * p.max()),
    }  # fmt: skip
    judge(answer, until, cases, slips)
    print("people_apart: right")
