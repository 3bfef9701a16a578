"""Exercises of page 20, on other architectures: shares behind a head, slots to spare."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _sums(f: Tensor, h: Tensor, of: Callable[[Tensor], Tensor] = Tensor.abs) -> Tensor:
    return of(f).T @ of(h)


def _share(part: Tensor, whole: Tensor, silent: float = 0.0) -> Tensor:
    return torch.where(whole == 0, silent, part / whole)


def _rest(n: int, forget: Tensor) -> Tensor:
    stays = torch.ones(n, dtype=torch.bool)
    stays[forget] = False
    return stays


def head_shares(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 20: ``answer(f, h, forget)`` returns the share ``[K, d]`` that D_f, at the positions
    ``forget``, has in the importance of each weight of a linear head, from logits f ``[N, K]`` and features
    h ``[N, d]``; 0 where no sample reaches a weight."""

    def drawn(n: int, k: int, d: int, n_f: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        order = numbers(n, seed=seed + 2).argsort()
        return 3 * numbers(n, k, seed=seed) + 1, numbers(n, d, seed=seed + 1), order[:n_f]

    f, h, forget = drawn(20, 4, 6, 5, 0)
    positive, signed = h.relu(), h.clone()
    positive[:, 1] = 0
    positive[_rest(20, forget), 3] = 0
    dead = f.clone()
    dead[:, 2] = 0
    cases = {
        "features of both signs": (f, signed, forget),
        "features behind a ReLU, one that is always silent": (f, positive, forget),
        "a logit that is always 0": (dead, signed, forget),
        "more logits than features": drawn(15, 7, 3, 4, 10),
        "as many logits as features": drawn(12, 4, 4, 7, 20),
        "a single logit": drawn(9, 1, 5, 1, 30),
    }

    def shares(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        """Of sums ``of(f, h)`` over D_f and over D"""
        return lambda f, h, at: _share(of(f[at], h[at]), of(f, h))

    def alone(part: Tensor, at: Tensor) -> Tensor:
        return _share(part[at].abs().sum(0), part.abs().sum(0))

    def rest(f: Tensor, h: Tensor, at: Tensor) -> Tensor:
        stays = _rest(len(f), at)
        return _sums(f[stays], h[stays])

    right = shares(_sums)
    slips = {
        "multiply f_k by h_j in each sample, then add up: no product of two shares": lambda f, h, at: (
            alone(f, at)[:, None] * alone(h, at)),
        "|.| belongs to each sample: in a sum before it signs cancel": shares(lambda f, h: (f.T @ h).abs()),
        "a derivative of each sample has its |.|: without it shares may be negative": shares(
            lambda f, h: f.T @ h),
        "|f_k h_j|: the features have signs, too": shares(lambda f, h: f.abs().T @ h),
        "|f_k h_j|: the logits have signs, too": shares(lambda f, h: f.T @ h.abs()),
        "D_f is a part of D: divide by the sum over all of D, not over the rest": lambda f, h, at: (
            _sums(f[at], h[at]) / rest(f, h, at)),
        "a share compares sums: a quotient of means is LFSSD's ratio, up to N / N_f": lambda f, h, at: (
            right(f, h, at) * len(f) / len(at)),
        "absolute values, not squares": shares(lambda f, h: _sums(f, h, Tensor.square)),
        "where no sample reaches a weight 0 / 0 is NaN: return 0": lambda f, h, at: (
            _sums(f[at], h[at]) / _sums(f, h)),
        "a weight that no sample reaches belongs to nobody: 0, not 1": lambda f, h, at: _share(
            _sums(f[at], h[at]), _sums(f, h), 1.0),
        "a row for each logit, a column for each feature": lambda f, h, at: right(f, h, at).T,
        "the share of D_f, not that of the rest": lambda f, h, at: _share(rest(f, h, at), _sums(f, h)),
        "the logit belongs to the derivative, not the feature alone": lambda f, h, at: (
            alone(h, at).expand(f.shape[1], -1)),
        "that is the share of a bias: the feature belongs to the derivative": lambda f, h, at: (
            alone(f, at)[:, None].expand(-1, h.shape[1])),
        "logits, not probabilities": lambda f, h, at: right(f.softmax(1), h, at),
        "D_f above, D below": lambda f, h, at: _share(_sums(f, h), _sums(f[at], h[at])),
        "a share from 0 to 1, not percent": lambda f, h, at: 100 * right(f, h, at),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("head_shares: right")


def _attention(n: int, slots: int, classes: int, seed: int, sharp: float) -> tuple[Tensor, Tensor]:
    answers = chosen(n, classes, seed=seed)
    at = 2 * answers[:, None] + torch.arange(2)  # two slots of its own for each class
    scores = numbers(n, slots, seed=seed + 1) + torch.zeros(n, slots).double().scatter(1, at, sharp)
    return scores.softmax(1), answers


def safe_slots(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Exercise 20: ``answer(a, forget, answers, budget)`` returns the slots to delete, in order of the share
    of their attention that is D_f's, as long as no class of D_r loses more than ``budget`` of its attention
    ``a`` ``[N, M]``."""
    a, answers = _attention(60, 12, 4, 0, 2.0)
    three = (answers == 3).nonzero()[:, 0]
    some = torch.cat([three[::2], (answers == 1).nonzero()[:3, 0]])
    gaps = torch.tensor([0, 4, 5, 9])[answers]
    few = torch.cat([(answers == 0).nonzero()[3:, 0], (answers == 1).nonzero()[6:, 0]])
    uneven = torch.tensor([k for k in range(60) if k not in few])
    less, kinds = a[uneven], answers[uneven]
    those = (kinds == 3).nonzero()[:, 0]
    unused = a.clone()
    unused[:, [0, 6]] = 0
    unused = unused / unused.sum(1, keepdim=True)
    unseen = a.clone()
    unseen[three[:, None], torch.tensor([4, 5, 8])] = 0
    unseen[answers != 3, 5] = 0.001
    whole = torch.tensor([[8, 4, 2, 1, 1], [8, 4, 2, 1, 1], [0, 4, 2, 2, 8], [0, 4, 2, 2, 8],
                          [0, 0, 2, 6, 8], [0, 0, 6, 2, 8]]).double() / 16  # fmt: skip
    cases = {
        "a class": (a, three, answers, 0.15),
        "a class, more to spend": (a, three, answers, 0.4),
        "some of a class, and some of another": (a, some, answers, 0.3),
        "classes of unequal size": (less, those, kinds, 0.25),
        "classes of unequal size, more to spend": (less, those[2:], kinds, 0.45),
        "answers with gaps in their numbers": (a, some, gaps, 0.2),
        "slots that nobody looks at": (unused, three, answers, 0.3),
        "slots that D_f does not look at": (unseen, three, answers, 1.0),
        "exactly the budget": (whole, torch.tensor([1, 0]), torch.tensor([2, 2, 0, 0, 7, 7]), 0.25),
        "nothing to spend": (a, three, answers, 1e-9),
    }

    def mean_of_classes(a: Tensor, answers: Tensor) -> Tensor:
        return torch.stack([a[answers == k].mean(0) for k in answers.unique()])

    def with_empty(a: Tensor, answers: Tensor) -> Tensor:
        return torch.stack([a[answers == k].mean(0) for k in range(10)])

    def worst(lost: Tensor) -> Tensor:
        return lost.amax(0)

    def share(a: Tensor, at: Tensor) -> Tensor:
        return _share(a[at].sum(0), a.sum(0))

    def by(
        score: Callable = share, lost_of: Callable = mean_of_classes, over: Callable = worst,
        allowed: Callable = torch.le, sums: Callable = lambda each: each.cumsum(1),
        looked: Callable = lambda mine: mine > 0, all_of: bool = False, end: int = 0,
    ) -> Callable:  # fmt: skip
        def slots(a: Tensor, at: Tensor, answers: Tensor, budget: float) -> Tensor:
            order = score(a, at).argsort(descending=True, stable=True)
            order = order[looked(a[at].sum(0)[order])]
            stays = _rest(len(a), at) | all_of
            lost = over(sums(lost_of(a[stays], answers[stays])[:, order]))
            good = allowed(lost, torch.full_like(lost, budget))
            return order[: int(good.sum()) + end] if end else order[good]

        return slots

    def skipping(a: Tensor, at: Tensor, answers: Tensor, budget: float) -> Tensor:
        stays, taken = _rest(len(a), at), []
        lost = mean_of_classes(a[stays], answers[stays])
        for slot in by()(a, at, answers, 9.0).tolist():
            if float(lost[:, [*taken, slot]].sum(1).max()) <= budget:
                taken.append(slot)
        return torch.tensor(taken, dtype=torch.long)

    right = by()
    slips = {
        "by the share of a slot's attention that is D_f's: the most attention serves others, too": by(
            lambda a, at: a[at].sum(0)),
        "the largest share first": by(lambda a, at: -share(a, at)),
        "D_f's share of a slot: its own attention divided by that of all samples": by(
            lambda a, at: a.sum(0)),
        "every class counts alike, small ones too: a mean for each, not one of all that stay": by(
            lost_of=lambda a, answers: a.mean(0, keepdim=True)),
        "a class without samples in D_r has no mean, 0 / 0, and nothing to lose": by(lost_of=with_empty),
        "no class loses more: the worst of them, not their mean": by(over=lambda lost: lost.mean(0)),
        "the worst class, not the luckiest": by(over=lambda lost: lost.amin(0)),
        "a class loses a mean over its samples: not its worst sample": by(lost_of=lambda a, answers: a),
        "a mean over the samples of a class, not their sum": by(lost_of=lambda a, answers: torch.stack(
            [a[answers == k].sum(0) for k in answers.unique()])),
        "what several slots take away adds up": by(sums=lambda each: each),
        "stop at the first slot that is too much: do not skip it and go on": skipping,
        "exactly the budget is allowed": by(allowed=torch.lt),
        "only D_r has something to lose: leave D_f out of its classes": by(all_of=True),
        "stop before a class loses too much, not behind": by(end=1),
        "a slot that D_f does not look at stays": by(looked=lambda mine: mine >= 0),
        "a slot that nobody looks at has 0 / 0 for a share, and NaN sorts first: it stays": by(
            lambda a, at: a[at].sum(0) / a.sum(0), looked=lambda mine: mine >= 0),
        "in the order of deletion, not of their numbers": lambda *given: right(*given).sort().values,
        "positions, not a mask": lambda a, *given: ~_rest(a.shape[1], right(a, *given)),
        "the slots to delete, not those that are kept": lambda a, *given: _rest(
            a.shape[1], right(a, *given)).nonzero()[:, 0],
        "the slots, not how many": lambda *given: len(right(*given)),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("safe_slots: right")
