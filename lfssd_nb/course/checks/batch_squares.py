"""An exercise of page 16: a mean square of single samples, from batch means of two sizes."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers


def from_batches(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 16: ``answer(means, size)`` returns an unbiased estimate ``[P]`` of the mean of squared
    gradients of single samples, from the gradients ``[T, P]`` of T batch means of ``size`` samples each."""
    noise = numbers(12, 5, seed=1) * torch.tensor([2.0, 1.0, 0.5, 0.1, 3.0])
    middle = torch.tensor([0.0, 3.0, -2.0, 1.0, 0.5])
    cases = {
        "a mean far from 0": (noise + middle, 16),
        "hardly any mean": (noise, 64),
        "two batches": (noise[:2] + middle, 8),
        "batches of one sample": (noise[:7] + middle, 1),
        "a weight without gradient, and one with the same in all": (
            torch.where(torch.tensor([True, False, True, False, True]), noise, middle.abs().floor()), 4),
    }  # fmt: skip

    def by(of: Callable[[Tensor, Tensor, int, int], Tensor]) -> Callable:
        """Of the mean of squares, the variance, T and the size"""
        return lambda g, size: of(g.square().mean(0), g.var(0), len(g), size)

    slips = {
        "that is right for a mean of 0: only the noise shrinks with the size of a batch": by(
            lambda q, v, t, b: b * q),
        "that is the mean square of batch means, and of single samples it is larger": by(
            lambda q, v, t, b: q),
        "single samples have more noise, not less: times the size": by(lambda q, v, t, b: q + v / b - v),
        "one share of the noise is in the mean of squares already": by(lambda q, v, t, b: q + b * v),
        "the square of a mean of T batches has noise too: take v / T away": by(
            lambda q, v, t, b: q - (t - 1) / t * v + b * v),
        "T - 1, not T: the mean of these batches is an estimate itself": by(
            lambda q, v, t, b: q + (b - 1) * (t - 1) / t * v),
        "the variance times the size is the noise: the mean belongs to it": by(lambda q, v, t, b: b * v),
        "the noise of single samples belongs to it, not only their mean": by(
            lambda q, v, t, b: q - (t - 1) / t * v),
        "the noise that is left out of batch means is (size - 1) times theirs; what of the rest?": by(
            lambda q, v, t, b: (b - 1) * v),
        "the variance, not its root": by(lambda q, v, t, b: q + (b - 1) * v.sqrt()),
        "a variance shrinks with the size itself, not with its root": by(
            lambda q, v, t, b: q + (b**0.5 - 1) * v),
        "a variance shrinks with the size, not with its square": by(lambda q, v, t, b: q + (b**2 - 1) * v),
        "the mean square, not its root": by(lambda q, v, t, b: (q + (b - 1) * v).sqrt()),
        "the sum over samples of a batch is not asked for: means": by(
            lambda q, v, t, b: (q + (b - 1) * v) * b),
        "each weight for itself: its own variance": lambda g, b: (
            g.square().mean(0) + (b - 1) * g.var(0).mean()),
        "it is the batches that vary: T counts, not the size": by(lambda q, v, t, b: q + (t - 1) * v),
        "a mean over batches, not their sum": by(lambda q, v, t, b: t * (q + (b - 1) * v)),
        "noise is added to the mean, not taken away": by(lambda q, v, t, b: q - (b - 1) * v),
    }  # fmt: skip
    judge(answer, by(lambda q, v, t, b: q + (b - 1) * v), cases, slips)
    print("from_batches: right")
