"""Exercises of page 17, on requests: what a joint one still selects, how to split one."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def still_chosen(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Exercise 17: ``answer(i_f, n, i_d, alpha)`` returns for each of K requests the share ``[K]`` of the
    weights that it selects alone which the joint request selects as well, NaN where it selects none; i_f
    ``[K, P]`` of requests of n ``[K]`` samples, i_d ``[P]``."""

    def drawn(k: int, p: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        i_d = numbers(p, seed=seed).exp()
        return (2 * numbers(k, p, seed=seed + 1)).exp() * i_d, 5 + chosen(k, 60, seed=seed + 2), i_d

    i_f, n, i_d = drawn(3, 60, 1)
    dead = chosen(60, 4, seed=8) > 0
    steps = chosen(80, 6, seed=9).double().reshape(2, 40)
    idle = torch.stack([i_f[0], 0.5 * i_d, i_f[2]])
    cases = {
        "three requests": (i_f, n, i_d, 2.0),
        "a small request and a large one": (i_f[:2], torch.tensor([4, 90]), i_d, 1.5),
        "importances of 0": (i_f * dead, n, i_d * dead, 2.0),
        "ratios exactly at the threshold": (steps, torch.tensor([2, 2]), torch.ones(40).double(), 2.0),
        "a request that selects nothing": (idle, n, i_d, 2.0),
        "five requests": (*drawn(5, 80, 20), 3.0),
        "one request": (i_f[:1], n[:1], i_d, 4.0),
    }
    Masks = tuple[Tensor, Tensor]

    def masks(f: Tensor, n: Tensor, d: Tensor, alpha: float) -> Masks:
        """What each selects [K, P], and the joint request [P]"""
        return f > alpha * d, n.double() @ f > alpha * n.sum() * d

    def share(own: Tensor, joint: Tensor) -> Tensor:
        return (own & joint).sum(1).double() / own.sum(1)

    def by(of: Callable = share, joint: Callable = lambda *a: masks(*a)[1]) -> Callable:
        return lambda *a: of(masks(*a)[0], joint(*a))

    slips = {
        "means of unequal requests: weight each by its number of samples": by(
            joint=lambda f, n, d, alpha: f.mean(0) > alpha * d),
        "an average over all samples: a sum, or the largest, is above alpha wherever one of them is": by(
            joint=lambda f, n, d, alpha: f.sum(0) > alpha * d),
        "the joint request averages: not every request has to select the weight": by(
            joint=lambda f, n, d, alpha: f.amin(0) > alpha * d),
        "average importances, not votes": by(
            joint=lambda f, n, d, alpha: (f > alpha * d).double().mean(0) > 0.5),
        "one alpha for all: joint requests are judged by the same one": by(
            joint=lambda f, n, d, alpha: n.double() @ f > alpha / len(n) * n.sum() * d),
        "a ratio of exactly alpha is not selected": lambda f, n, d, alpha: share(
            (f >= alpha * d) & (d > 0), (n.double() @ f >= alpha * n.sum() * d) & (d > 0)),
        "importances of 0 select nothing: 0 is not above alpha times 0": lambda f, n, d, a: (
            share((f > a * d) | (d == 0), (n.double() @ f > a * n.sum() * d) | (d == 0))),
        "a share of what the request selects alone, not of all weights": by(
            lambda own, joint: (own & joint).double().mean(1)),
        "a share of what the request selects alone, not of what the joint one selects": by(
            lambda own, joint: (own & joint).sum(1).double() / joint.sum()),
        "of what it selects alone, not of what either selects": by(
            lambda own, joint: (own & joint).sum(1).double() / (own | joint).sum(1)),
        "what the joint request selects too, not what it leaves out": by(
            lambda own, joint: 1 - share(own, joint)),
        "for each request, not for all together": by(
            lambda own, joint: ((own & joint).sum().double() / own.sum()).expand(len(own))),
        "how many of its own, not how many in all": by(
            lambda own, joint: joint.sum().double() / own.sum(1)),
        "a share, not a number of weights": by(lambda own, joint: (own & joint).sum(1).double()),
        "a share from 0 to 1, not percent": by(lambda own, joint: 100 * share(own, joint)),
        "no weight of its own, no share: NaN, not 0": by(
            lambda own, joint: share(own, joint).nan_to_num(0.0)),
        "no weight of its own, no share: NaN, not 1": by(
            lambda own, joint: share(own, joint).nan_to_num(1.0)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("still_chosen: right")


def _sizes(n: int, m: int) -> list[int]:
    return [n // m + (k < n % m) for k in range(m)]


def _fewest(
    room: Callable[[list[int]], bool], n: int, first: int = 1, sizes: Callable = _sizes
) -> int:  # fmt: skip
    return next((m for m in range(first, n + 1) if room(sizes(n, m))), 0)


def _room(
    sizes: list[int], total: int, alpha: float, remaining: bool,
    above: Callable[[float, float], bool] = lambda ceiling, alpha: ceiling > alpha,
    before: Callable[[list[int], int], int] = lambda sizes, k: sum(sizes[:k]),
    of: Callable = all,
) -> bool:  # fmt: skip
    return of(
        above((total - remaining * before(sizes, k)) / size, alpha) for k, size in enumerate(sizes) if size
    )


def fewest_parts(answer: Callable[[int, int, float, bool], int]) -> None:
    """Exercise 17: ``answer(n, total, alpha, remaining)`` returns the smallest number of parts, as equal as
    possible and the larger first, into which a request of n of ``total`` samples has to be split so that the
    ceiling of every part is above alpha, 0 if there is none. ``remaining``: the ceiling counts in what has
    not been forgotten when the part comes."""
    cases = {
        "200 of 700 images at 3.5, as on the page": (200, 700, 3.5, False),
        "a ceiling of exactly alpha": (200, 700, 35.0, False),
        "parts of unequal size": (23, 100, 14.0, False),
        "parts of unequal size, what remains": (23, 100, 11.0, True),
        "what remains": (200, 700, 14.0, True),
        "most of it, what remains": (164, 195, 4.0, True),
        "nearly everything, what remains": (60, 64, 5.0, True),
        "one part is enough": (7, 100, 3.0, True),
        "no number of parts is enough": (10, 40, 40.0, False),
        "parts that differ by one, what remains": (51, 93, 27.0, True),
        "single samples": (9, 40, 30.0, False),
        "what remains, single samples": (12, 40, 26.0, True),
        "what remains is never enough": (12, 40, 29.0, True),
    }

    def by(**how) -> Callable:
        return lambda n, total, alpha, remaining: _fewest(
            lambda sizes: _room(sizes, total, alpha, remaining, **how), n
        )

    right = by()

    def formula(n: int, total: int, alpha: float, remaining: bool) -> int:
        return ceil(alpha * n / total)

    def last(n: int, total: int, alpha: float, remaining: bool) -> int:
        return _fewest(lambda sizes: (total - remaining * (n - sizes[-1])) / sizes[-1] > alpha, n)

    def size(n: int, total: int, alpha: float, remaining: bool) -> int:
        m = right(n, total, alpha, remaining)
        return ceil(n / m) if m else 0

    slips = {
        "at its ceiling alpha selects nothing: it has to be below": by(above=lambda c, alpha: c >= alpha),
        "samples are whole: a part has ceil(n / m) of them, not n / m": (
            lambda n, *how: _fewest(lambda sizes: _room(sizes, *how), n, sizes=lambda n, m: [n / m] * m)),
        "every part counts, and the largest has the lowest ceiling": last,
        "every part counts: one with room is not enough": by(of=any),
        "what remains: D shrinks with each part, so that later ones have less room": (
            lambda n, total, alpha, remaining: right(n, total, alpha, False)),
        "D shrinks only if it is `remaining`": (
            lambda n, total, alpha, remaining: right(n, total, alpha, True)),
        "a part is still in D when it comes": by(before=lambda sizes, k: sum(sizes[: k + 1])),
        "all parts before it have gone, not only one": by(before=lambda sizes, k: sizes[k - 1] if k else 0),
        "those after it are still in D when a part comes": by(before=lambda sizes, k: sum(sizes)),
        "the larger parts come first": (
            lambda n, *how: _fewest(lambda sizes: _room(sizes[::-1], *how), n)),
        "the number of parts, not their size": size,
        "the number of parts, not that of the cuts between them": lambda *a: max(right(*a) - 1, 0),
        "one part is possible, too": lambda n, *how: _fewest(lambda sizes: _room(sizes, *how), n, 2),
        "parts in proportion to alpha / ceiling, but none is at its ceiling, and samples are whole": formula,
        "no number of parts has room: 0, not n": lambda *a: right(*a) or a[0],
        "no number of parts has room: 0, and no part without samples": lambda *a: right(*a) or a[0] + 1,
        "the fewest parts, not single samples": lambda n, *a: n if right(n, *a) else 0,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("fewest_parts: right")
