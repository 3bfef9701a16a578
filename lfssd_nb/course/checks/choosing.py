"""Exercises of page 12, on choosing alpha: an aim from neighbours, the choice, and what it costs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .curves import low, runs
from .judge import chosen, judge, numbers


def _likeness(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def _alike(of: Callable, h: Tensor, a: Tensor, others: Tensor, of_others: Tensor, own: bool) -> float:
    """Share of rows of ``h`` answered like the most similar row of ``others`` (if ``own``, another row)."""
    likeness = of(h, others)
    if own:
        likeness = likeness.masked_fill(torch.eye(len(h), len(others), dtype=torch.bool), -float("inf"))
    return float((of_others[likeness.argmax(1)] == a).double().mean())


def _shares(
    h_f: Tensor, a_f: Tensor, h_r: Tensor, a_r: Tensor, of: Callable = _likeness
) -> tuple[float, float]:
    return _alike(of, h_f, a_f, h_r, a_r, False), _alike(of, h_r, a_r, h_r, a_r, True)


def _aim(found: float, usual: float) -> float:
    return 0.0 if 2 * found < usual else min(1.0, found / usual) if usual else 1.0


def aim(answer: Callable[[Tensor, Tensor, Tensor, Tensor], float]) -> None:
    """Exercise 12: ``answer(h_f, a_f, h_r, a_r)`` returns the aim A* from hidden features and answers of
    samples of D_f and D_r, neighbours by the cosine."""

    def cloud(n: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
        answers = chosen(n, 4, seed=seed)
        middle = 3 * torch.eye(4, 6).double()[answers]
        length = numbers(n, 1, seed=seed + 2).exp()
        return length * (middle + noise * numbers(n, 6, seed=seed + 1)), answers

    near, clear, unclear = cloud(40, 1.4, 3), cloud(80, 1.2, 10), cloud(60, 1.8, 20)
    away, partly = ((near[0], (near[1] + (chosen(40, 10, seed=7) < high)) % 4) for high in (8, 4))
    half = torch.eye(4).double()[[0, 1, 2, 3, 0, 1, 2, 3]]
    half_answers = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    cases = {
        "samples like those that stay": (*near, *clear),
        "neighbours that mostly answer otherwise": (*away, *clear),
        "neighbours that partly answer otherwise": (*partly, *unclear),
        "D_f clearer than D_r": (*cloud(40, 0.9, 30), *unclear),
        "exactly half": (half[:4], torch.tensor([0, 1, 0, 0]), half, half_answers),
    }

    def dotted(a: Tensor, b: Tensor) -> Tensor:
        return a @ b.T

    def euclid(a: Tensor, b: Tensor) -> Tensor:
        return -torch.cdist(a, b)

    def itself(h_f: Tensor, a_f: Tensor, h_r: Tensor, a_r: Tensor) -> float:
        return _aim(
            _alike(_likeness, h_f, a_f, h_r, a_r, False), _alike(_likeness, h_r, a_r, h_r, a_r, False)
        )

    def among_all(h_f: Tensor, a_f: Tensor, h_r: Tensor, a_r: Tensor) -> float:
        both, answers = torch.cat([h_f, h_r]), torch.cat([a_f, a_r])
        return _aim(_alike(_likeness, h_f, a_f, both, answers, True), _shares(h_f, a_f, h_r, a_r)[1])

    def of_shares(of: Callable[[float, float], float]) -> Callable:
        return lambda *a: of(*_shares(*a))

    slips = {
        "the cosine: Euclid's distance sees the length of the features as well": lambda *a: _aim(
            *_shares(*a, euclid)),
        "the cosine: divide by the lengths, or a long vector is everybody's neighbour": lambda *a: _aim(
            *_shares(*a, dotted)),
        "the nearest, not the farthest": lambda *a: _aim(*_shares(*a, lambda p, q: -_likeness(p, q))),
        "a sample of D_r is not its own neighbour": itself,
        "neighbours in D_r alone: D_f is what must go": among_all,
        "neighbours are a weak classifier: divide by what they reach on D_r": of_shares(lambda f, r: f),
        "that is what neighbours reach on D_r": of_shares(lambda f, r: r),
        "less than half counts as nothing: an aim of 0": (
            of_shares(lambda f, r: min(1.0, f / r) if r else 1.0)),
        "exactly half is not less than half": of_shares(lambda f, r: 0.0 if 2 * f <= r else _aim(f, r)),
        "half of what neighbours reach on D_r, not half of all": of_shares(
            lambda f, r: 0.0 if f < 0.5 else _aim(f, r)),
        "an aim is a share: at most 1": of_shares(lambda f, r: f / r if _aim(f, r) else 0.0),
        "the share on D_f divided by that on D_r, not the other way round": of_shares(
            lambda f, r: min(1.0, r / f) if f else 1.0),
        "a share from 0 to 1, not percent": of_shares(lambda f, r: 100 * _aim(f, r)),
        "more than half counts as it is, not as all": of_shares(lambda f, r: 0.0 if 2 * f < r else 1.0),
    }  # fmt: skip
    judge(answer, of_shares(_aim), cases, slips)
    print("aim: right")


def _loss(kept: Tensor, left: Tensor, aim: float) -> Tensor:
    return 1 - kept + (left - aim).abs()


def _middle(
    loss: Tensor, tie: float, pick: Callable = lambda run: run[len(run) // 2],
    which: Callable = lambda runs: max(runs, key=lambda run: (len(run), run)),
) -> int:  # fmt: skip
    """The place that ``pick`` takes of the run ``which``: the longest, of equally long ones the last."""
    return pick(which([list(range(first, last + 1)) for first, last in runs(low(loss, tie))]))


def _chosen(loss: Callable = _loss, **how) -> Callable:
    return lambda alphas, kept, left, aim, tie: float(alphas[_middle(loss(kept, left, aim), tie, **how)])


def choice(answer: Callable[[Tensor, Tensor, Tensor, float, float], float]) -> None:
    """Exercise 12: ``answer(alphas, kept, left, aim, tie)`` returns the alpha in the middle of the plateau of
    the loss ``1 - kept + |left - aim|``."""
    alphas = torch.tensor([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0])
    rising = torch.tensor([0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    gone = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.75, 1.0])
    nearly = torch.tensor([0.0, 0.0, 0.0, 0.125, 0.125, 0.25, 0.75, 1.0])
    dip = torch.tensor([0.25, 1.0, 0.875, 1.0, 1.0, 0.9375, 1.0, 1.0])
    random = torch.tensor([0.5, 0.875, 0.75, 0.875, 0.875, 0.875, 1.0, 1.0])
    twice = torch.tensor([0.5, 0.5, 0.5, 0.75, 0.5, 0.5, 0.5, 1.0])
    over = torch.tensor([0.25, 0.5, 0.5, 0.5, 0.75, 1.0, 1.0, 1.0])
    cases = {
        "a class: aim 0": (alphas, rising, gone, 0.0, 0.0),
        "a plateau of two": (alphas, rising, gone + 0.25 * (alphas > 3), 0.0, 0.0),
        "random samples: aim 1": (alphas, dip, random, 1.0, 0.125),
        "an aim between": (alphas, rising, over, 0.5, 0.0),
        "losses that are not quite equal": (alphas, rising, nearly, 0.0, 0.125),
        "runs of equal length": (alphas, dip, dip - 0.5, 0.5, 0.0),
        "two runs of three": (alphas, 0 * alphas + 1, twice, 0.5, 0.0),
    }
    right = _chosen()
    slips = {
        "the aim is not always 0, and it has two sides: |left - aim|": (
            lambda a, k, f, aim, tie: right(a, k, f, 0.0, tie)),
        "the aim is not always 1": lambda a, k, f, aim, tie: right(a, k, f, 1.0, tie),
        "of equally good thresholds the middle, not the first": _chosen(pick=lambda run: run[0]),
        "of equally good thresholds the middle, not the last": _chosen(pick=lambda run: run[-1]),
        "of equally long runs the last, not the first": _chosen(which=lambda runs: max(runs, key=len)),
        "a run has no gap: not the middle of all low losses": _chosen(
            which=lambda runs: [k for run in runs for k in run]),
        "|left - aim|, not its square": _chosen(lambda k, f, aim: 1 - k + (f - aim) ** 2),
        "of two in the middle the larger": _chosen(pick=lambda run: run[(len(run) - 1) // 2]),
        "the middle threshold, not the mean of their values": lambda a, k, f, aim, tie: float(
            a[_middle(_loss(k, f, aim), tie, lambda run: slice(run[0], run[-1] + 1))].mean()),
        "the first of the smallest losses hangs on one sample: take the middle of the plateau": (
            lambda a, k, f, aim, t: (
            float(a[_loss(k, f, aim).argmin()]))),
        "more left than the aim is bad, and so is less: |left - aim|": _chosen(
            lambda k, f, aim: 1 - k + (f - aim).clamp(min=0)),
        "less left than the aim is bad, and so is more: |left - aim|": _chosen(
            lambda k, f, aim: 1 - k + (aim - f).clamp(min=0)),
        "what is kept of D_r counts as well": _chosen(lambda k, f, aim: (f - aim).abs()),
        "what is left of D_f counts as well": _chosen(lambda k, f, aim: 1 - k),
        "return the alpha, not its place": lambda a, k, f, aim, tie: _middle(_loss(k, f, aim), tie),
        "losses within `tie` of the smallest are equal to it": (
            lambda a, k, f, aim, tie: right(a, k, f, aim, 0.0)),
        "the smallest loss, not the largest": _chosen(lambda k, f, aim: -_loss(k, f, aim)),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("choice: right")


def regret(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Exercise 12: ``answer(gaps, chosen)`` returns by how many points a rule is behind the best threshold in
    its worst case, from gaps ``[cases, thresholds]`` (NaN: not measured) and the places that it chose."""
    gaps = numbers(6, 9, seed=2).abs() * 8 + torch.arange(6)[:, None].double()
    some = gaps.masked_fill(chosen(54, 4, seed=5).reshape(6, 9) == 0, float("nan"))
    places = torch.stack([row.isfinite().nonzero()[k % 3, 0] for k, row in enumerate(some)])
    cases = {
        "six cases": (gaps, chosen(6, 9, seed=1)),
        "a rule that is the oracle": (gaps, gaps.argmin(1)),
        "thresholds that were not measured (NaN)": (some, places),
        "one case": (gaps[:1], torch.tensor([4])),
    }

    def of(reduce: Callable[[Tensor], Tensor], oracle: Callable[[Tensor], Tensor]) -> Callable:
        def value(gaps: Tensor, at: Tensor) -> float:
            own = gaps[torch.arange(len(gaps)), at]
            return float(reduce(own - oracle(gaps)))

        return value

    def least(gaps: Tensor) -> Tensor:
        return gaps.nan_to_num(float("inf")).amin(1)

    def common(gaps: Tensor) -> Tensor:
        return gaps[:, gaps.mean(0).nan_to_num(float("inf")).argmin()]

    slips = {
        "the worst case, not the mean": of(Tensor.mean, least),
        "the worst case, not the median": of(Tensor.median, least),
        "the worst case is the largest regret, not the smallest": of(Tensor.min, least),
        "the worst case, not the sum of all": of(Tensor.sum, least),
        "behind the best threshold: subtract its gap": (
            of(Tensor.max, lambda gaps: 0 * gaps[:, 0].nan_to_num(0.0))),
        "the oracle knows each case: its own best threshold, not one for all": of(Tensor.max, common),
        "compare within a case: not with the best gap of all cases": of(
            Tensor.max, lambda gaps: gaps.nan_to_num(float("inf")).min().expand(len(gaps))),
        "compare within a case: subtract before you look for the worst": lambda gaps, at: float(
            gaps[torch.arange(len(gaps)), at].max() - least(gaps).max()),
        "a threshold that was not measured cannot be the best: leave the NaN out": of(
            Tensor.max, lambda gaps: gaps.amin(1)),
        "a threshold that was not measured has no gap of 0": (
            of(Tensor.max, lambda gaps: gaps.nan_to_num(0.0).amin(1))),
        "behind is positive: chosen minus best": lambda gaps, at: float(
            (least(gaps) - gaps[torch.arange(len(gaps)), at]).min()),
        "each case has a choice of its own": lambda gaps, at: float((gaps[:, at[0]] - least(gaps)).max()),
        "the best threshold has the smallest gap, not the largest": of(
            Tensor.max, lambda gaps: gaps.nan_to_num(-1.0).amax(1)),
    }  # fmt: skip
    judge(answer, of(Tensor.max, least), cases, slips)
    print("regret: right")
