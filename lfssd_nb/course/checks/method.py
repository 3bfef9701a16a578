"""Exercises of the pages on importances, the dampening rule, and what follows from it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...dampening import factor, selected
from .judge import expect, judge, numbers


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

    def as_dict(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        found = answer(model, x)
        expect(isinstance(found, dict), "return a dict with one tensor per parameter name")
        return found

    judge(as_dict, s(_squared, _mean_abs), cases, slips)
    print("sensitivity: right")


Rule = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]


def _clipped(i_f: Tensor, i_d: Tensor, lam: float) -> Tensor:
    return (lam * i_d / i_f).clamp(max=1)


def _rule(mask: Callable = selected, ratio: Callable = _clipped) -> Rule:
    """The rule with another selection ``mask(i_f, i_d, alpha)``, or another factor of what is selected,
    ``ratio(i_f, i_d, lam)``."""
    return lambda theta, i_f, i_d, alpha, lam: torch.where(
        mask(i_f, i_d, alpha), theta * ratio(i_f, i_d, lam), theta
    )


def dampened(answer: Rule) -> None:
    """Exercise 03: ``answer(theta, i_f, i_d, alpha, lam)`` returns the dampened weights."""
    theta, i_f, i_d = numbers(60), numbers(60, seed=1).square() * 4, numbers(60, seed=2).square()
    tie, dead = i_d * 2.0, torch.arange(60) % 6 == 0
    without = i_d.masked_fill(dead, 0.0)
    cases = {
        "alpha = 2, lambda = 1": (theta, i_f, i_d, 2.0, 1.0),
        "weights exactly at the threshold": (theta, tie, i_d, 2.0, 1.0),
        "a large lambda": (theta, i_f, i_d, 0.5, 100.0),
        "lambda = 0.3": (theta, i_f, i_d, 2.0, 0.3),
        "lambda = 0": (theta, i_f, i_d, 2.0, 0.0),
        "weights with I_D = 0": (theta, i_f, without, 2.0, 1.0),
        "weights with I_F = I_D = 0": (theta, i_f.masked_fill(dead, 0.0), without, 2.0, 1.0),
    }
    slips = {
        "a tie, I_f = alpha * I_D, is not selected: it is strict": _rule(lambda f, d, a: f >= a * d),
        "I_D = 0: D says nothing about the weight, and it keeps its value": _rule(lambda f, d, a: f > a * d),
        "compare I_f with alpha * I_D, not with alpha": _rule(lambda f, d, a: (f > a) & (d > 0)),
        "select those above the threshold, not below": _rule(lambda f, d, a: f < a * d),
        "clip the factor at 1: no weight may grow": _rule(ratio=lambda f, d, lam: lam * d / f),
        "the factor is lam * I_D / I_f, not lam / I_f": _rule(
            ratio=lambda f, d, lam: (lam / f).clamp(max=1)),
        "the factor has lambda in it": _rule(ratio=lambda f, d, lam: (d / f).clamp(max=1)),
        "a small lambda dampens, it does not prune": _rule(
            ratio=lambda f, d, lam: (d / f).clamp(max=1) * (lam >= 1)),
        "the factor is lam * I_D / I_f, not alpha's: alpha only selects": lambda t, f, d, a, lam: torch.where(
            selected(f, d, a), t * (a * d / f).clamp(max=1), t),
        "clip the factor at 1, not the product: negative weights shrink as well": lambda t, f, d, a, lam: (
            torch.where(selected(f, d, a), (t * lam * d / f).clamp(max=1), t)),
        "0 / 0 is NaN: weights that nothing needs keep their value": lambda t, f, d, a, lam: (
            t * torch.where(f > a * d, lam * d / f, (d / f) / (d / f)).clamp(max=1)),
        "dampen the selected weights; all others keep their value": lambda t, f, d, a, lam: (
            t * (lam * d / f).clamp(max=1)),
    }  # fmt: skip
    judge(answer, lambda theta, *how: theta * factor(*how), cases, slips)
    print("dampened: right")


def spread(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 06: ``answer(per_sample, size)`` predicts the standard deviation of I(D_f) / I(D) over
    random forget sets of ``size`` rows of ``per_sample`` [N, P]."""
    table = torch.tensor([[1.0, 2.0], [3.0, 2.0], [1.0, 2.0], [3.0, 2.0]])
    found = torch.as_tensor(answer(table, 4), dtype=torch.float64)
    expect(found.shape == (2,), "one prediction per weight (column)")
    expect(
        torch.allclose(found, torch.zeros(2).double()),
        "D_f = D has ratio 1 exactly: the factor sqrt(1 - N_f/N)",
    )
    found = torch.as_tensor(answer(table, 1), dtype=torch.float64)
    expect(found[1] == 0, "a weight that all samples need equally has no spread")
    exact = 0.5 * torch.tensor([1.0, 4 / 3]).double().sqrt() * (3 / 4) ** 0.5
    expect(
        bool(((found[0] - exact).abs() < 1e-6).any()),
        f"c / sqrt(N_f) sqrt(1 - N_f/N), with c = std / mean; got {found[0]}",
    )
    two = torch.as_tensor(answer(table.repeat(50, 1), 2), dtype=torch.float64)[0]
    one = torch.as_tensor(answer(table.repeat(50, 1), 1), dtype=torch.float64)[0]
    expect(abs(one / two - (199 / 198 * 2) ** 0.5) < 1e-6, "twice the samples, 1 / sqrt(2) of the spread")
    print("spread: right")


def _published(g: Tensor, size: int) -> Tensor:
    return torch.stack([part.mean(0).abs() for part in g.split(size)]).mean(0)


def partial_batch(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 11: ``answer(g, size)`` returns LFSSD's published importance ``|mean over a batch|``, averaged
    over batches, from per-sample gradients ``g [N, P]`` in the order of D."""
    g = numbers(9, 3)
    cases = {
        "batches of one": (g, 1),
        "one batch": (g, 9),
        "batches of 4, 4 and 1": (g, 4),
        "a batch of 20": (g, 20),
    }

    def weighted(g: Tensor, size: int) -> Tensor:
        return sum(len(part) * part.mean(0).abs() for part in g.split(size)) / len(g)

    def whole_batches(g: Tensor, size: int) -> Tensor:
        return _published(g[: len(g) // size * size], size) if len(g) >= size else g.sum(0) * 0

    slips = {
        "average before taking |.|: signs within a batch cancel": lambda g, size: g.abs().mean(0),
        "not one batch: take |.| of the mean of each": lambda g, size: g.mean(0).abs(),
        "|.| belongs to each batch, before they are averaged": lambda g, size: torch.stack(
            [part.mean(0) for part in g.split(size)]).mean(0).abs(),
        "the reference code weighs the last, smaller batch like a full one": weighted,
        "the last, smaller batch counts too": whole_batches,
        "batches of `size` in the order of D, the last is what is left: g.split": lambda g, size: torch.stack(
            [part.mean(0).abs() for part in g.chunk(-(-len(g) // size))]).mean(0),
        "average over batches, do not add them up": lambda g, size: torch.stack(
            [part.mean(0).abs() for part in g.split(size)]).sum(0),
        "the mean of a batch, not its sum": lambda g, size: torch.stack(
            [part.sum(0).abs() for part in g.split(size)]).mean(0),
    }  # fmt: skip
    judge(answer, _published, cases, slips)
    print("partial_batch: right")


def networks(answer: Callable[[Tensor, list[float]], int]) -> None:
    """Exercise 09: ``answer(ratios, alphas)`` returns how many different networks a sweep over ``alphas``
    makes at lambda = 1, given I(D_f) / I(D) of every weight."""
    ratios = torch.tensor([0.5, 2.0, 2.0, 3.0, 8.0])
    expect(answer(ratios, [1.0]) == 1, "one alpha makes one network")
    expect(answer(ratios, [9.0, 10.0, 11.0]) == 1, "above the largest ratio every alpha leaves the original")
    expect(answer(ratios, [4.0, 5.0, 7.0]) == 1, "between two ratios the selected set does not change")
    expect(answer(ratios, [2.5, 3.0]) == 2, "a tie is not selected: the inequality is strict")
    expect(answer(ratios, [1.0, 9.0, 1.5, 10.0]) == 2, "the order of the alphas does not matter")
    expect(
        answer(ratios, [0.1, 0.7, 1.0]) == 1,
        "a weight with a ratio up to lambda = 1 may be selected, but its factor min(1 / r, 1) is 1",
    )
    found = answer(ratios, [0.1, 1.0, 2.0, 3.0, 8.0])
    expect(found == 4, f"four networks, the original among them; got {found}")
    print("networks: right")
