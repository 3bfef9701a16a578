"""Exercises of page 02: importances of three scores."""

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


def _weights_alone(of: Callable[[Tensor], Tensor]) -> Callable:
    """Without the biases."""
    return lambda model, x: {
        k: v for k, v in _by_samples(of, _mean_abs)(model, x).items() if k.endswith("weight")
    }


def _models() -> tuple[nn.Module, nn.Module]:
    """One layer with one logit and no bias; two layers with three logits; in eval mode, as models are that
    are to forget."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = nn.Linear(2, 1, bias=False).double()
        return one.eval(), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval()


def sensitivity(answer: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
    """Exercise 02: ``answer(model, x)`` returns LFSSD's per-sample importance by parameter name."""
    one, several = _models()
    cases = {
        "one logit, no bias": (one, torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)),
        "two layers, three logits": (several, numbers(5, 3)),
        "a single sample": (several, numbers(1, 3, seed=1)),
    }
    s = _by_samples
    slips = {
        "one tensor for every parameter, the biases too": _weights_alone(_squared),
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


def unsquared(answer: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
    """Exercise 02: ``answer(model, x)`` returns the per-sample importance of ``||f||_2``, without the square;
    a sample with f = 0 adds 0."""
    one, several = _models()
    cases = {
        "two layers, three logits": (several, numbers(5, 3)),
        "a single sample": (several, numbers(1, 3, seed=1)),
        "one logit": (one, numbers(4, 2, seed=2)),
        "a sample with f = 0": (one, torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]]).double()),
    }

    def of_nonzero(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        return s(torch.Tensor.norm, _mean_abs)(model, x[model(x).abs().sum(1) > 0])

    def of_the_batch(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        names, parameters = zip(*model.named_parameters(), strict=True)
        return dict(zip(names, map(torch.abs, torch.autograd.grad(model(x).norm(), parameters)), strict=True))

    s = _by_samples
    slips = {
        "the norm itself, not its square": s(_squared, _mean_abs),
        "at f = 0 the root has the derivative 1 / 0 and gives NaN: that sample adds 0": s(
            lambda z: z.square().sum().sqrt(), _mean_abs),
        "a sample with f = 0 adds 0 and still counts in the mean": of_nonzero,
        "the Euclidean norm, not the sum of absolute values": s(lambda z: z.abs().sum(), _mean_abs),
        "the norm over all logits, not the largest": s(lambda z: z.abs().max(), _mean_abs),
        "the norm of a sample's logits, not of their sum": s(lambda z: z.sum().abs(), _mean_abs),
        "a norm for each sample, not one of the whole batch": of_the_batch,
        "take |.| of each sample's gradient, then average": s(torch.Tensor.norm, lambda g: g.mean(0).abs()),
        "average over the samples, do not add them up": s(torch.Tensor.norm, lambda g: g.abs().sum(0)),
        "the absolute value, not the square": s(torch.Tensor.norm, lambda g: g.square().mean(0)),
        "one tensor for every parameter, the biases too": _weights_alone(torch.Tensor.norm),
    }  # fmt: skip
    judge(answer, s(torch.Tensor.norm, _mean_abs), cases, slips)
    print("unsquared: right")


def centred(answer: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
    """Exercise 02: ``answer(model, x)`` returns LFSSD's importance of the logits minus their mean over
    classes, sample by sample."""
    one, several = _models()
    cases = {
        "three logits": (several, numbers(5, 3)),
        "a single sample": (several, numbers(1, 3, seed=1)),
        "one layer, three logits": (several[2], numbers(6, 4, seed=2)),
        "one logit: nothing is left": (one, numbers(4, 2, seed=3)),
    }

    def over_samples(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        mean = model(x).detach().mean(0)
        return _by_samples(lambda z: _squared(z - mean), _mean_abs)(model, x)

    def right(z: Tensor) -> Tensor:
        return _squared(z - z.mean())

    s = _by_samples
    slips = {
        "subtract the mean of the logits first": s(_squared, _mean_abs),
        "the mean over the classes of one sample, not over the samples": over_samples,
        "subtract the mean, not the largest logit": s(lambda z: _squared(z - z.max()), _mean_abs),
        "logits minus their mean, not probabilities": s(lambda z: _squared(z.softmax(0)), _mean_abs),
        "the squared norm adds the squares up: not their mean": s(lambda z: z.var(unbiased=False), _mean_abs),
        "the norm is squared: its gradient has a factor of 2": s(lambda z: right(z) / 2, _mean_abs),
        "first centre, then square: the squared mean is another thing": s(
            lambda z: _squared(z) - z.mean() ** 2, _mean_abs),
        "take |.| of each sample's gradient, then average": s(right, lambda g: g.mean(0).abs()),
        "average over the samples, do not add them up": s(right, lambda g: g.abs().sum(0)),
        "the absolute value, not the square": s(right, lambda g: g.square().mean(0)),
        "one tensor for every parameter, the biases too": _weights_alone(right),
    }  # fmt: skip
    judge(answer, s(right, _mean_abs), cases, slips)
    print("centred: right")
