"""Exercises of page 02: importances."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .judge import judge, numbers


def _by_samples(of: Callable[[Tensor], Tensor], reduce: Callable[[Tensor], Tensor]) -> Callable:
    """``reduce`` over samples of the gradients of ``of(logits of one sample)``."""

    def importance(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        names, parameters = zip(*model.named_parameters(), strict=True)
        rows = [torch.autograd.grad(of(model(one[None])[0]), parameters) for one in x]
        return {name: reduce(torch.stack(g)) for name, g in zip(names, zip(*rows, strict=True), strict=True)}

    return importance


def _squared(z: Tensor) -> Tensor:
    return z.square().sum()


def _mean_abs(g: Tensor) -> Tensor:
    return g.abs().mean(0)


def _weights_alone(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    return {k: v for k, v in _by_samples(_squared, _mean_abs)(model, x).items() if k.endswith("weight")}


def sensitivity(answer: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
    """Exercise 02: ``answer(model, x)`` returns LFSSD's per-sample importance by parameter name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = nn.Linear(2, 1, bias=False).double()
        several = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    cases = {
        "one logit, no bias": (one, torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)),
        "two layers, three logits": (several, numbers(5, 3)),
        "a single sample": (several, numbers(1, 3, seed=1)),
    }
    s = _by_samples
    slips = {
        "one tensor for every parameter, the biases too": _weights_alone,
        "take |.| of each sample's gradient, then average": s(_squared, lambda g: g.mean(0).abs()),
        "an importance is never negative: where is the absolute value?": s(_squared, lambda g: g.mean(0)),
        "average over the samples, do not add them up": s(_squared, lambda g: g.abs().sum(0)),
        "the absolute value, not the square: that would be SSD's": s(_squared, lambda g: g.square().mean(0)),
        "the norm is squared: its gradient has a factor of 2": s(lambda z: _squared(z) / 2, _mean_abs),
        "the norm is squared: without the root": s(lambda z: z.norm(), _mean_abs),
        "square each logit, then add them up: not the square of their sum": s(
            lambda z: z.sum().square(), _mean_abs),
        "all logits count, not the largest alone": s(lambda z: z.max().square(), _mean_abs),
        "the mean over samples, not over logits": s(lambda z: z.square().mean(), _mean_abs),
    }  # fmt: skip
    judge(answer, s(_squared, _mean_abs), cases, slips)
    print("sensitivity: right")
