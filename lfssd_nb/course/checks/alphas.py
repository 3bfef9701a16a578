"""Exercises of page 09 on alpha: how many networks a sweep makes, and what is equally strict elsewhere."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers


def networks(answer: Callable[[Tensor, list[float]], int]) -> None:
    """Exercise 09: ``answer(ratios, alphas)`` returns how many different networks a sweep over ``alphas``
    makes at lambda = 1, given I(D_f) / I(D) of every weight."""
    few, many = torch.tensor([0.5, 2.0, 2.0, 3.0, 8.0]), numbers(30, seed=1).exp()
    cases = {
        "one alpha": (few, [1.0]),
        "alphas above the largest ratio": (few, [9.0, 10.0, 11.0]),
        "alphas between two ratios": (few, [4.0, 5.0, 7.0]),
        "alphas beside and at a ratio": (few, [2.5, 3.0]),
        "alphas that are not sorted": (few, [1.0, 9.0, 1.5, 10.0]),
        "alphas up to 1": (few, [0.1, 0.7, 1.0]),
        "alphas at every ratio": (few, [0.1, 1.0, 2.0, 3.0, 8.0]),
        "thirty weights": (many, [0.2, 0.5, 1.2, 4.0, 1.3, 2.0, 2.2, 7.0, 30.0]),
    }

    def counts(ratios: Tensor, alphas: list[float]) -> list[int]:
        return [int((ratios > max(alpha, 1.0)).sum()) for alpha in alphas]

    def steps(ratios: Tensor, alphas: list[float]) -> int:
        found = counts(ratios, alphas)
        return 1 + sum(a != b for a, b in itertools.pairwise(found))

    slips = {
        "several alphas can make the same network": lambda r, alphas: len(alphas),
        "a tie is not selected: the inequality is strict": lambda r, alphas: len(
            {int((r >= max(alpha, 1.0)).sum()) for alpha in alphas}),
        "a tie is not selected, and a ratio up to 1 changes nothing": lambda r, alphas: len(
            {int((r >= alpha).sum()) for alpha in alphas}),
        "a weight with a ratio up to lambda = 1 may be selected, but its factor min(1 / r, 1) is 1": (
            lambda r, alphas: len({int((r > alpha).sum()) for alpha in alphas})),
        "the original is a network, too": lambda r, alphas: len({c for c in counts(r, alphas) if c}),
        "the original counts only if an alpha leaves it": lambda r, alphas: len({0, *counts(r, alphas)}),
        "the order of the alphas does not matter: a network may come back": steps,
        "how many networks, not how many weights are selected": lambda r, alphas: max(counts(r, alphas)),
        "how many networks, not how many steps between them": lambda r, alphas: len({*counts(r, alphas)}) - 1,
        "different ratios, of which an alpha lies between none, make no networks": (
            lambda r, alphas: len(r.unique())),
    }  # fmt: skip
    judge(answer, lambda r, alphas: len({*counts(r, alphas)}), cases, slips)
    print("networks: right")


def carried(answer: Callable[[float, int, int, int, int], float]) -> None:
    """Exercise 09: ``answer(alpha, n, n_f, new_n, new_n_f)`` returns the alpha that is the same share of the
    ceiling N / N_f elsewhere."""
    cases = {
        "a class of 10 to a class of 100": (5.0, 50_000, 5_000, 50_000, 500),
        "to fewer images": (3.5, 50_000, 100, 1_397, 70),
        "to the same request": (4.0, 1_397, 140, 1_397, 140),
        "above the ceiling": (25.0, 1_000, 100, 600, 200),
        "to all of D": (2.0, 1_000, 100, 300, 300),
    }

    def right(alpha: float, n: int, n_f: int, new_n: int, new_n_f: int) -> float:
        return alpha * (n_f / n) * (new_n / new_n_f)

    slips = {
        "the ceiling N / N_f is another one there: alpha cannot be the same": lambda a, *sizes: a,
        "divide by the ceiling here, multiply by the one there": lambda a, n, f, m, g: a * (n / f) / (m / g),
        "that is alpha' here: multiply it by the ceiling there": lambda a, n, f, m, g: a * f / n,
        "that is alpha times the new ceiling: divide by the one here": lambda a, n, f, m, g: a * m / g,
        "that is the new ceiling": lambda a, n, f, m, g: m / g,
        "the forget sets differ in size, too": lambda a, n, f, m, g: a * m / n,
        "the training sets differ in size, too": lambda a, n, f, m, g: a * f / g,
        "the ceiling has N_f in the denominator": lambda a, n, f, m, g: a * (m * g) / (n * f),
        "what lies above the ceiling here lies above it there: do not clip": lambda a, n, f, m, g: min(
            right(a, n, f, m, g), m / g),
        "keep the share of the ceiling, not the distance to it": lambda a, n, f, m, g: a + m / g - n / f,
        "an alpha need not be a whole number": lambda *a: round(right(*a)),
        "N is all of D, D_f included": lambda a, n, f, m, g: a * f / (n - f) * (m - g) / g,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("carried: right")
