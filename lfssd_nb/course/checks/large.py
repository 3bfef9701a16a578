"""Exercises of page 19, on large networks: the way back to any layers, what is selected in vain."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...dampening import factor, selected
from .judge import chosen, judge, numbers

Named = dict[str, Tensor]


def way_back(answer: Callable[[list[int], list[bool]], int]) -> None:
    """Exercise 19: ``answer(c, kept)`` returns the multiply-adds per image of one pass that gives the
    gradients of the layers that are kept, in a chain of layers with ``c`` each on the way forward."""
    c = [48, 900, 350, 1200, 77, 410, 30]
    cases = {
        "the last three layers": (c, [False] * 4 + [True] * 3),
        "all layers": (c, [True] * 7),
        "the head alone": (c, [False] * 6 + [True]),
        "one layer in the middle": (c, [False, False, True, False, False, False, False]),
        "the first layer alone": (c, [True] + [False] * 6),
        "every second layer": (c, [False, True] * 3 + [False]),
        "two layers with others between them": (c, [False, False, True, False, False, True, False]),
        "no layer": (c, [False] * 7),
        "layers of equal cost": ([100] * 5, [False, True, True, False, True]),
        "a network of one layer": ([640], [True]),
    }

    def of(value: Callable[[list[int], list[int]], float], none: float | None = None) -> Callable:
        """value(c, the places that are kept); without any, the way forward"""

        def cost(c: list[int], kept: list[bool]) -> float:
            places = [k for k, use in enumerate(kept) if use]
            return value(c, places) if places else sum(c) if none is None else none

        return cost

    def weights(c: list[int], at: list[int]) -> int:
        return sum(c[k] for k in at)

    def total(c: list[int], at: list[int]) -> int:
        return sum(c) + weights(c, at) + sum(c[at[0] + 1 :])

    slips = {
        "layers behind the first one that is kept pass the gradient on, and need none of their weights": of(
            lambda c, at: sum(c) + sum(c[at[0] :]) + sum(c[at[0] + 1 :])),
        "layers in between pass the gradient on, kept or not": of(
            lambda c, at: sum(c) + weights(c, at) + weights(c, at[1:])),
        "nobody waits for the gradient of the input of the first layer that is kept": of(
            lambda c, at: sum(c) + weights(c, at) + sum(c[at[0] :])),
        "without the way forward there is no way back": of(lambda c, at: total(c, at) - sum(c)),
        "both ways lead past the last layer that is kept, to the logits and from there": of(
            lambda c, at: total(c, at) - sum(c[at[-1] + 1 :])),
        "the way back ends at the first layer that is kept": of(
            lambda c, at: sum(c) + weights(c, at) + sum(c[1:])),
        "back from the end, as far as the first layer that is kept: not from the beginning": of(
            lambda c, at: sum(c) + weights(c, at) + sum(c[: at[-1]])),
        "as far as the first layer that is kept, not to the last": of(
            lambda c, at: sum(c) + weights(c, at) + sum(c[at[-1] + 1 :])),
        "passing back is not all: the gradient of the weights that are kept costs c, too": of(
            lambda c, at: total(c, at) - weights(c, at)),
        "the weights that are kept: to reach them, the gradient passes through others": of(
            lambda c, at: sum(c) + weights(c, at)),
        "not everything is kept: that is the whole pass": of(lambda c, at: 3 * sum(c) - c[0], 0),
        "once forward for all layers that are kept, not for each": of(
            lambda c, at: total(c, at) + (len(at) - 1) * sum(c)),
        "multiply-adds, not a share of the whole pass": of(lambda c, at: total(c, at) / (3 * sum(c) - c[0])),
        "a multiply-add counts once, not as two operations": of(lambda c, at: 2 * total(c, at)),
        "no gradient, no way back: the way forward is asked for as always": of(total, 0),
    }  # fmt: skip
    judge(answer, of(total), cases, slips)
    print("way_back: right")


def in_vain(answer: Callable[[Named, Named, Named, float, float], float]) -> None:
    """Exercise 19: ``answer(theta, forget, full, alpha, lam)`` returns the share of the selected weights of
    all tensors that dampening leaves as they are; 0 if none is selected."""

    def network(seed: int, pruned: float = 0.5) -> tuple[Named, Named, Named]:
        """A large matrix, pruned, a small one, less so, and a bias; some zeros are -0.0."""
        theta, forget, full = {}, {}, {}
        for k, (name, shape) in enumerate(
            {"body": (12, 9), "head.weight": (4, 5), "head.bias": (4,)}.items()
        ):
            t = numbers(*shape, seed=seed + 7 * k)
            theta[name] = t * (t.abs() > pruned / (k + 1))
            full[name] = numbers(*shape, seed=seed + 7 * k + 1).square() + 0.05
            forget[name] = full[name] * numbers(*shape, seed=seed + 7 * k + 2).exp()
        return theta, forget, full

    def unseen(theta: Named, forget: Named, full: Named) -> tuple[Named, Named, Named]:
        dead = {n: chosen(t.numel(), 3, seed=5).reshape(t.shape) == 0 for n, t in theta.items()}
        return theta, forget, {n: d.masked_fill(dead[n], 0.0) for n, d in full.items()}

    def tied(theta: Named, forget: Named, full: Named) -> tuple[Named, Named, Named]:
        at = {n: chosen(t.numel(), 2, seed=6).reshape(t.shape) == 0 for n, t in theta.items()}
        return theta, {n: torch.where(at[n], 2 * full[n], f) for n, f in forget.items()}, full

    whole, half, thin = network(1, 0.0), network(1), network(20, 1.2)
    cases = {
        "half pruned": (*half, 1.0, 1.0),
        "nothing pruned": (*whole, 1.0, 1.0),
        "most pruned": (*thin, 1.4, 1.0),
        "lambda above alpha": (*half, 0.5, 1.3),
        "lambda above alpha, nothing pruned": (*whole, 0.8, 1.5),
        "a small lambda": (*half, 2.0, 0.2),
        "ratios exactly at alpha": (*tied(*half), 2.0, 1.0),
        "ratios exactly at lambda": (*tied(*half), 1.0, 2.0),
        "weights with I(D) = 0": (*unseen(*half), 1.0, 1.0),
        "none selected": (*half, 1e3, 1.0),
    }

    def flat(theta: Named, *more: Named) -> list[Tensor]:
        return [torch.cat([each[name].flatten() for name in theta]) for each in (theta, *more)]

    def still(t: Tensor, f: Tensor, d: Tensor, alpha: float, lam: float) -> Tensor:
        return t * factor(f, d, alpha, lam) == t

    def as_selected(t: Tensor, f: Tensor, d: Tensor, alpha: float, lam: float) -> Tensor:
        """What stays of the selected, whatever was selected"""
        return (t == 0) | (f <= lam * d)

    def share(part: Tensor, whole: Tensor) -> float:
        return float((part & whole).double().sum() / whole.sum().clamp(min=1))

    def by(
        unmoved: Callable = still,
        mask: Callable = selected,
        end: Callable = share,
    ) -> Callable:
        def value(theta: Named, forget: Named, full: Named, alpha: float, lam: float) -> float:
            t, f, d = flat(theta, forget, full)
            return float(end(unmoved(t, f, d, alpha, lam), mask(f, d, alpha)))

        return value

    def by_tensor(theta: Named, forget: Named, full: Named, *how: float) -> float:
        each = [by()({n: theta[n]}, forget, full, *how) for n in theta]
        return sum(each) / len(each)

    slips = {
        "a factor of 1 leaves a weight as it is, too": by(lambda t, *_: t == 0),
        "a weight of 0 stays 0, whatever its factor": by(
            lambda t, f, d, alpha, lam: factor(f, d, alpha, lam) == 1),
        "-0.0 is zero, too": by(lambda t, f, d, *how: still(t, f, d, *how) & ~((t == 0) & t.signbit())),
        "at a ratio of exactly lambda the factor is 1": by(
            lambda t, f, d, alpha, lam: (t == 0) | (f < lam * d)),
        "one share of all selected weights, not a mean over tensors": by_tensor,
        "of the selected weights, not of all": by(
            end=lambda a, b: (a & b).double().mean()),
        "only what is selected counts: others are left as they are anyway": by(
            end=lambda a, b: a.double().mean()),
        "among the selected those that stay, not among those that stay the selected": by(
            end=lambda a, b: share(b, a)),
        "those that stay as they are, not those that move": by(lambda *a: ~still(*a)),
        "a tie is not selected": by(as_selected, mask=lambda f, d, alpha: (f >= alpha * d) & (d > 0)),
        "D says nothing about a weight with I(D) = 0: it is not selected": by(
            as_selected, mask=lambda f, d, alpha: f > alpha * d),
        "select where the ratio exceeds alpha, not below": by(
            mask=lambda f, d, alpha: (f < alpha * d) & (d > 0)),
        "none is selected, none in vain: 0, not 0 / 0": by(
            end=lambda a, b: (a & b).double().sum() / b.sum()),
        "a share, not a number": by(end=lambda a, b: (a & b).sum()),
        "a share from 0 to 1, not percent": by(end=lambda a, b: 100 * share(a, b)),
        "the selected weights of all tensors, not of the last alone": lambda t, *a: by()(
            {(n := [*t][-1]): t[n]}, *a),
        "the selected weights of all tensors, not of the first alone": lambda t, *a: by()(
            {(n := next(iter(t))): t[n]}, *a),
        "what is selected depends on alpha: the pruned weights are no selection": by(
            end=lambda a, b: a.double().mean() - b.double().mean() + (a & b).double().mean()),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("in_vain: right")
