"""An exercise of page 18: the smallest product of dampening factors on a way through a network."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ...dampening import factor, selected
from .judge import chosen, judge, numbers

Layers = list[tuple[Tensor, Tensor]]


def weakest_path(answer: Callable[[Layers, float, float], float]) -> None:
    """Exercise 18: ``answer(layers, alpha, lam)`` returns the smallest product of dampening factors on any
    path from an input to an output, one weight of each layer; layers: (I(D_f), I(D)) ``[outputs, inputs]`` of
    each, first layer first."""

    def made(*widths: int, seed: int, spread: float = 1.0) -> Layers:
        """Ratios about 1"""
        layers = []
        for k, (a, b) in enumerate(itertools.pairwise(widths)):
            full = numbers(b, a, seed=seed + 9 * k).square() + 0.1
            layers.append((full * (spread * numbers(b, a, seed=seed + 9 * k + 1)).exp(), full))
        return layers

    def without(layers: Layers) -> Layers:
        """Some weights of which D says nothing, where D_f does not react either, or (a slip's) does"""
        dead = [chosen(d.numel(), 4, seed=7).reshape(d.shape) == 0 for _, d in layers]
        return [
            (f.masked_fill(o & (f < 2), 0), d.masked_fill(o, 0))
            for (f, d), o in zip(layers, dead, strict=True)
        ]

    three, square = made(6, 5, 4, 3, seed=1), made(4, 4, 4, 4, seed=2, spread=1.5)
    ties = [(2.0 * d, d) for _, d in made(3, 3, 2, seed=3)]
    ties[0][0][1, 2] *= 2
    cases = {
        "three layers": (three, 1.0, 1.0),
        "layers of one width": (square, 1.5, 1.0),
        "lambda above alpha": (square, 1.0, 2.5),
        "a small lambda": (three, 2.0, 0.3),
        "lambda above every ratio of one layer": (square[:2] + made(4, 5, seed=8, spread=0.2), 0.5, 1.9),
        "an alpha that few weights exceed": (made(9, 8, 7, seed=4), 4.0, 1.0),
        "nothing selected": (three, 1e3, 1.0),
        "ratios exactly at alpha": (ties, 2.0, 1.0),
        "weights with I(D) = 0": (without(square), 1.0, 1.0),
        "one layer": (made(5, 3, seed=5), 1.2, 1.0),
        "six layers": (made(3, 5, 4, 2, 6, 3, 2, seed=6), 1.3, 0.8),
    }

    def by(join: Callable, rule: Callable = factor) -> Callable:
        return lambda layers, alpha, lam: float(join([rule(f, d, alpha, lam) for f, d in layers]))

    def paths(factors: list[Tensor], end: Callable = Tensor.amin, start: float = 1.0) -> Tensor:
        left = torch.full_like(factors[0][0], start)
        for each in factors:
            left = end(each * left, 1)
        return end(left, 0)

    def least(factors: list[Tensor]) -> Tensor:
        return torch.stack([each.min() for each in factors])

    def greedy(factors: list[Tensor], backwards: bool = False) -> float:
        """Through the smallest factor of the first layer, and on from there; or of the last, and back"""
        if backwards:
            return greedy([each.T for each in factors[::-1]])
        product, at = factors[0].min(), int(factors[0].amin(1).argmin())
        for each in factors[1:]:
            product, at = product * each[:, at].min(), int(each[:, at].argmin())
        return float(product)

    def unclipped(f: Tensor, d: Tensor, alpha: float, lam: float) -> Tensor:
        return torch.where(selected(f, d, alpha), lam * d / f, 1.0)

    slips = {
        "the smallest of each layer need not join up: where one path ends the next weight begins": by(
            lambda factors: least(factors).prod()),
        "a path has a weight of every layer: multiply": by(lambda factors: least(factors).min()),
        "the weakest path, not the strongest": by(lambda factors: paths(factors, Tensor.amax)),
        "the weakest path, not the mean over paths": by(lambda factors: paths(factors, Tensor.mean)),
        "the weakest path, not the sum over paths": by(lambda factors: paths(factors, Tensor.sum)),
        "the best first step is not always on the best path: keep the smallest product for every unit": by(
            greedy),
        "the best last step is not always on the best path: keep the smallest product for every unit": by(
            lambda factors: greedy(factors, True)),
        "a row is an output, a column an input: unit k of a layer is column k of the next": by(
            lambda factors: paths([each.T for each in factors])
            if all(a.shape[1] == b.shape[0] for a, b in itertools.pairwise(factors))
            else float("nan")),
        "only the selected are dampened: where is alpha?": by(
            paths, lambda f, d, alpha, lam: (lam * d / f).clamp(max=1).where(d > 0, 1.0)),
        "a tie is not selected": by(
            paths, lambda f, d, alpha, lam: (lam * d / f).clamp(max=1).where(
                (f >= alpha * d) & (d > 0), 1.0)),
        "clip the factor at 1: no weight may grow": by(paths, unclipped),
        "D says nothing about a weight with I(D) = 0: it is left alone": by(
            paths, lambda f, d, alpha, lam: (lam * d / f).clamp(max=1).where(f > alpha * d, 1.0)),
        "the factor has lambda in it": by(paths, lambda f, d, alpha, lam: factor(f, d, alpha, 1.0)),
        "a selected weight keeps lambda / r of itself, not lambda": by(
            paths, lambda f, d, alpha, lam: torch.where(selected(f, d, alpha), min(lam, 1.0), 1.0)),
        "the factor is lambda / r: alpha only selects": by(
            paths, lambda f, d, alpha, lam: torch.where(
                selected(f, d, alpha), (alpha * d / f).clamp(max=1), 1.0)),
        "what is left of the path, not what is taken": by(lambda factors: 1 - paths(factors)),
        "the product along a path, no logarithm of it": by(lambda factors: paths(factors).log()),
        "the product, not its root per layer": by(lambda factors: paths(factors) ** (1 / len(factors))),
    }  # fmt: skip
    judge(answer, by(paths), cases, slips)
    print("weakest_path: right")
