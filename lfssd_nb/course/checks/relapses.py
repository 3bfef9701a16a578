"""An exercise of page 17: what of an earlier request comes back with a later one?"""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers


def relapse(answer: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
    """Exercise 17: ``answer(accuracy)`` returns for each network how much accuracy came back on what had been
    forgotten, and how much was lost before it was asked for, both ``[R]``; accuracy ``[R, T + 1, T]``: after
    t requests, on the samples of each."""

    def drawn(r: int, t: int, seed: int) -> Tensor:
        late = torch.arange(t + 1)[:, None] > torch.arange(t)
        return 100 * torch.where(late, 0.3, 0.9) * numbers(r, t + 1, t, seed=seed).sigmoid()

    falling = torch.linspace(100, 20, 7).double()[:, None] * (1 - numbers(2, 7, 6, seed=4).square() / 40)
    cases = {
        "three networks, five requests": (drawn(3, 5, 1),),
        "one network": (drawn(1, 4, 2),),
        "two requests": (drawn(4, 2, 3),),
        "accuracy that falls everywhere": (falling,),
        "a single request": (drawn(3, 1, 5),),
    }

    def mean(each: Tensor) -> Tensor:
        return each.mean(1) if each.shape[1] else each.new_zeros(len(each))

    def back(a: Tensor, own: int = 1, end: Callable = lambda a: a[:, -1]) -> Tensor:
        """What came back on each request but the last"""
        t = a.shape[2]
        return (end(a) - a[:, own : own + t].diagonal(dim1=1, dim2=2))[:, : t - 1]

    def side(a: Tensor, own: int = 0, start: Callable = lambda a: a[:, 0]) -> Tensor:
        """What was lost on each request but the first"""
        t = a.shape[2]
        return (start(a) - a[:, own : own + t].diagonal(dim1=1, dim2=2))[:, 1:]

    def by(came: Callable = lambda a: mean(back(a)), lost: Callable = lambda a: mean(side(a))) -> Callable:
        return lambda a: (came(a), lost(a))

    def share(each: Tensor) -> Tensor:
        return each.sum(1) / (each.shape[1] + 1)

    def previous(a: Tensor) -> Tensor:
        t = a.shape[2]
        return mean((a[:, :-1] - a[:, 1:]).diagonal(dim1=1, dim2=2)[:, : t - 1])

    def highest(a: Tensor) -> Tensor:
        after = torch.arange(a.shape[1])[:, None] > torch.arange(a.shape[2])
        return a.masked_fill(~after, -torch.inf).amax(1)

    def others(a: Tensor) -> Tensor:
        """Lost on all requests that are still to come"""
        rows = torch.arange(a.shape[1])[:, None]
        early = (rows <= torch.arange(a.shape[2])) & (rows > 0)
        return mean((a[:, :1] - a)[:, early])

    slips = {
        "nothing comes after the last request: leave it out of what came back": by(lambda a: share(back(a))),
        "nothing comes before the first request: leave it out of what was lost": by(
            lost=lambda a: share(side(a))),
        "came back since its own request was answered: row k + 1, not row k": by(lambda a: mean(back(a, 0))),
        "lost before its own request was answered: row k, not row k + 1": by(lost=lambda a: mean(side(a, 1))),
        "both rows are one too early or too late: row 0 is the original": by(
            lambda a: mean(back(a, 0)), lambda a: mean(side(a, 1))),
        "at the end: the last row": by(lambda a: mean(back(a, end=lambda a: a[:, -2]))),
        "at the end, not at the worst moment": by(lambda a: mean(back(a, end=highest))),
        "what has come back since its own request, not what is there at the end": by(
            lambda a: mean(a[:, -1, :-1])),
        "what has been lost until its own request, not what is there then": by(
            lost=lambda a: mean(a[:, :-1].diagonal(dim1=1, dim2=2)[:, 1:])),
        "against the original, not against the request before": by(
            lost=lambda a: mean((a[:, :-2] - a[:, 1:-1]).diagonal(1, 1, 2))),
        "lost until its own request: its own row alone": by(lost=others),
        "what came back is positive: the end minus its own row": by(lambda a: -mean(back(a))),
        "what was lost is positive: the original minus its own row": by(lost=lambda a: -mean(side(a))),
        "what came back has a sign: it may have gone further": by(lambda a: mean(back(a).abs())),
        "what came back has a sign: no cut at 0": by(lambda a: mean(back(a).clamp(min=0))),
        "what was lost has a sign": by(lost=lambda a: mean(side(a).clamp(min=0))),
        "what was lost has a sign: no |.|": by(lost=lambda a: mean(side(a).abs())),
        "a mean over requests, not their sum": by(lambda a: back(a).sum(1), lambda a: side(a).sum(1)),
        "for each network, not for all together": by(
            lambda a: mean(back(a)).mean().expand(len(a)), lambda a: mean(side(a)).mean().expand(len(a))),
        "against its own row, not the original: came back since then": by(
            lambda a: mean((a[:, -1] - a[:, 0])[:, :-1])),
        "a single request: nothing before it and nothing after, so 0 and 0": by(
            lambda a: back(a).mean(1), lambda a: side(a).mean(1)),
        "first what came back, then what was lost": lambda a: by()(a)[::-1],
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("relapse: right")
