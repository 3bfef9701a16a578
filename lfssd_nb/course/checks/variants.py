"""Exercises of page 15: the norm in place of its square, two choices together."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _lengths(z: Tensor) -> Tensor:
    return z.norm(dim=1)


def norm_bounds(answer: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Exercise 15: ``answer(ratio, z_f, z_r)`` returns between which two values ``[P]``, each the tightest,
    the ratios I(D_f) / I(D) of l2 lie, from those of squared l2 and the logits of D_f and D_r."""
    at = numbers(9, seed=1).sigmoid()
    z_f, z_r = numbers(5, 4, seed=2) + 2, numbers(8, 4, seed=3) + 2
    some = (torch.arange(8) % 3 > 0).double()[:, None]
    cases = {
        "5 samples of 13": (13 / 5 * at, z_f, z_r),
        "D_f with long logits": (13 / 5 * at, 4 * z_f, z_r),
        "D_f with short logits": (13 / 5 * at, 0.1 * z_f, z_r),
        "logits of 0 in D_r": (13 / 5 * at, z_f, some * z_r),
        "logits of 0 in D_f": (at * 16 / 8, some * numbers(8, 3, seed=4), numbers(8, 3, seed=5)),
        "ratios of 0 and N / N_f": (13 / 5 * at.round(), z_f, z_r),
        "one sample of 9": (9 * at, z_f[:1], z_r),
        "logits of the same length": (13 / 5 * at, z_f.sign(), 1 * z_r.sign()),
    }

    def by(
        low: Callable = lambda f, r: f.max() / r.min(),
        high: Callable = lambda f, r: f.min() / r.max(),
        length: Callable = _lengths,
        keep: Callable = lambda lengths: lengths[lengths > 0],
        ceiling: Callable = lambda f, r: (len(f) + len(r)) / len(f),
        end: Callable = lambda odds, c: c / (1 + odds),
    ) -> Callable:
        def bounds(ratio: Tensor, z_f: Tensor, z_r: Tensor) -> tuple[Tensor, Tensor]:
            c, f, r = ceiling(z_f, z_r), keep(length(z_f)), keep(length(z_r))
            others = c / ratio - 1  # the sum over D_r for each unit of that over D_f
            return end(others * low(f, r), c), end(others * high(f, r), c)

        return bounds

    def loose(ratio: Tensor, z_f: Tensor, z_r: Tensor, most: float = math.inf) -> tuple[Tensor, Tensor]:
        f, r = (v[v > 0] for v in map(_lengths, (z_f, z_r)))
        d = torch.cat([f, r])
        return ratio * d.min() / f.max(), (ratio * d.max() / f.min()).clamp(max=most)

    def cut(ratio: Tensor, z_f: Tensor, z_r: Tensor) -> tuple[Tensor, Tensor]:
        return loose(ratio, z_f, z_r, 1 + len(z_r) / len(z_f))

    def rest(ratio: Tensor, z_f: Tensor, z_r: Tensor) -> tuple[Tensor, Tensor]:
        f, r = (v[v > 0] for v in map(_lengths, (z_f, z_r)))
        return ratio * r.min() / f.max(), ratio * r.max() / f.min()

    def whole(ratio: Tensor, z_f: Tensor, z_r: Tensor) -> tuple[Tensor, Tensor]:
        some, all_of = z_f[z_f.any(1)], z_r[z_r.any(1)]
        return by()(ratio, some, all_of)

    def squares(z: Tensor) -> Tensor:
        return z.square().sum(1)

    slips = {
        "D_f is a part of D: what makes its sum small makes that of D smaller, too": loose,
        "no ratio exceeds N / N_f, but the bounds are not yet the tightest: D_f is a part of D": cut,
        "below the line stands D, which holds D_f as well, not D_r": rest,
        "from the square to the norm: each derivative is divided by its length, not multiplied": by(
            lambda f, r: r.max() / f.min(), lambda f, r: r.min() / f.max()),
        "the derivative of |f|^2 is 2 |f| times that of |f|: the length, not its square": by(length=squares),
        "the length is the root of the summed squares, not the sum of absolute values": by(
            length=lambda z: z.abs().sum(1)),
        "first the lower bound, then the upper": lambda *a: by()(*a)[::-1],
        "a sample with f = 0 has a derivative of 0 under both scores: its length bounds nothing": by(
            keep=lambda lengths: lengths),
        "a sample with f = 0 still counts in N and N_f: importances are means": whole,
        "how many times N_f goes into N, not into N_r": by(ceiling=lambda f, r: len(r) / len(f)),
        "N / N_f, not N_f / N": by(ceiling=lambda f, r: len(f) / (len(f) + len(r))),
        "N and N_f have to turn means into sums": by(ceiling=lambda f, r: 1.0),
        "bounds for any derivatives: the extreme lengths, not the mean ones": by(
            lambda f, r: f.mean() / r.mean(), lambda f, r: f.mean() / r.mean()),
        "all of D_f's sum may come from its longest sample and D_r's from its shortest": by(
            lambda f, r: f.max() / r.max(), lambda f, r: f.min() / r.min()),
        "D_f and D_r have lengths of their own": by(
            lambda f, r: torch.cat([f, r]).max() / torch.cat([f, r]).min(),
            lambda f, r: torch.cat([f, r]).min() / torch.cat([f, r]).max()),
        "the lengths of D_r vary as well": by(
            lambda f, r: f.max() / r.mean(), lambda f, r: f.min() / r.mean()),
        "the lengths of D_f vary as well": by(
            lambda f, r: f.mean() / r.min(), lambda f, r: f.mean() / r.max()),
        "the sum over D is that over D_f and that over D_r": by(end=lambda odds, c: c / odds),
        "I(D_f) / I(D), not I(D_f) / I(D_r)": by(end=lambda odds, c: (c - 1) / odds),
        "a ratio of means, not of sums: times N / N_f": by(end=lambda odds, c: 1 / (1 + odds)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("norm_bounds: right")


def interaction(answer: Callable[[Tensor], tuple[float, float]]) -> None:
    """Exercise 15: ``answer(gaps)`` returns by how much more batch means cost with squares than with ``abs``,
    the mean over networks and its standard error; gaps ``[networks, requests, power, reduction]``, NaN where
    not run."""
    size = torch.tensor([[1.0, 3.0], [2.0, 7.0]]).double()
    gaps = numbers(5, 4, 2, 2, seed=1).abs() + size + numbers(5, 1, 2, 2, seed=2)
    holes = gaps.masked_fill(chosen(80, 9, seed=4).reshape(5, 4, 2, 2) == 0, math.nan)
    lone = holes.clone()
    lone[1, :, 1, 0] = math.nan
    cases = {
        "all were run": (gaps,),
        "some were not run (NaN)": (holes,),
        "a network without a complete request": (lone,),
        "one request": (gaps[:, :1],),
        "two networks": (gaps[3:],),
        "batch means are better": (gaps.flip(3),),
    }

    def twice(g: Tensor) -> Tensor:
        return g[..., 1, 1] - g[..., 1, 0] - g[..., 0, 1] + g[..., 0, 0]

    def error(each: Tensor, by: int = 1) -> float:
        return float((each.var(correction=by) / len(each)).sqrt())

    def some(each: Tensor) -> Tensor:
        return each[each.isfinite()]

    def of(
        what: Callable = twice,
        over: Callable = lambda d: some(d.nanmean(1)),
        middle: Callable = Tensor.mean,
        spread: Callable = error,
    ) -> Callable:
        def found(gaps: Tensor) -> tuple[float, float]:
            each = over(what(gaps))
            return float(middle(each)), float(spread(each))

        return found

    def then(of_both: Callable) -> Callable:
        return lambda gaps: of_both(*of()(gaps))

    def cell(gaps: Tensor) -> Tensor:
        return twice(gaps.nanmean(1))

    slips = {
        "a difference of two differences: that is what batch means cost on average": of(
            lambda g: (g[..., 1] - g[..., 0]).mean(2)),
        "a difference of two differences: that is what squares cost on average": of(
            lambda g: (g[..., 1, :] - g[..., 0, :]).mean(2)),
        "that is what batch means cost with squares; subtract what they cost with abs": of(
            lambda g: g[..., 1, 1] - g[..., 1, 0]),
        "that is what batch means cost with abs; what do they cost with squares?": of(
            lambda g: g[..., 0, 1] - g[..., 0, 0]),
        "one combination against another: four are needed": of(lambda g: g[..., 1, 1] - g[..., 0, 0]),
        "with squares minus with abs, not the other way round": then(lambda m, e: (-m, e)),
        "by how much more, not half of it": then(lambda m, e: (m / 2, e / 2)),
        "a difference of differences has a sign: no |.|": of(lambda g: twice(g).abs()),
        "both costs are added up: subtract them": of(lambda g: g[..., 1].sum(2) - g[..., 0].sum(2)),
        "points more, not how many times as much": of(
            lambda g: (g[..., 1, 1] - g[..., 1, 0]) / (g[..., 0, 1] - g[..., 0, 0])),
        "the requests of a network are no networks: average them first": of(
            over=lambda d: some(d.flatten())),
        "each network counts the same: in the mean, too": lambda gaps: (
            float(twice(gaps).nanmean()), of()(gaps)[1]),
        "in a pair both are of the same request: leave out a request that lacks one of the four": of(
            cell, over=some),
        "what was not run is NaN: leave that request out": of(over=lambda d: d.mean(1)),
        "what was not run is no gap of 0": of(lambda g: twice(g.nan_to_num(0.0))),
        "without a complete request there is no difference of 0: leave that network out": of(
            over=lambda d: d.nanmean(1).nan_to_num(0.0)),
        "without a complete request a network is NaN: leave it out": of(over=lambda d: d.nanmean(1)),
        "a request that lacks one of the four is left out, its network is not": of(
            over=lambda d: some(d.mean(1))),
        "networks are a sample: divide by n - 1": of(spread=lambda each: error(each, 0)),
        "the error of the mean: the standard deviation over the root of n": of(spread=Tensor.std),
        "the error, not the variance": of(spread=lambda each: each.var() / len(each)),
        "the root of n, not n": of(spread=lambda each: each.std() / len(each)),
        "n is the number of networks, not of requests": lambda gaps: (
            of()(gaps)[0], of(over=lambda d: some(d.flatten()))(gaps)[1]),
        "the standard error, not half of an interval": then(lambda m, e: (m, 1.96 * e)),
        "the mean, not the median": of(middle=Tensor.median),
        "first the mean, then its error": lambda gaps: of()(gaps)[::-1],
    }  # fmt: skip
    judge(answer, of(), cases, slips)
    print("interaction: right")
