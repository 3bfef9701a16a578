"""Exercises of page 13, on finite pushes: the best one, and what one does to a weight that is dampened."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def best_push(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> None:
    """Exercise 13: ``answer(s, third, eps, largest)`` returns for each weight the push ``[P]``, at most
    ``largest``, at which ``mean(|third|) push^2 / 6 + eps mean(s) / push`` is smallest; s ``[N]``, third
    ``[N, P]``."""
    s, third = numbers(7, seed=1).square() * 40, numbers(7, 5, seed=2) * torch.tensor([9, 0.2, 3, 1, 30.0])
    silent = third * torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    cases = {
        "float32": (s, third, 2.0**-23, 1.0),
        "float64, large logits": (900 * s, third, 2.0**-52, 1.0),
        "bfloat16, some pushes too large": (s, third, 2.0**-7, 0.7),
        "weights without a third derivative": (s, silent, 2.0**-23, 0.3),
        "samples with f = 0": (s * (chosen(7, 2, seed=5) > 0), third / 3, 2.0**-23, 2.0),
        "a single sample": (s[:1], third[:1], 2.0**-23, 1.0),
    }

    def by(of: Callable[[Tensor, Tensor, float], Tensor]) -> Callable:
        return lambda s, third, eps, largest: of(s, third, eps).clamp(max=largest)

    def root(factor: float = 3.0, power: float = 1 / 3) -> Callable:
        return lambda s, third, eps: (factor * eps * s.mean() / third.abs().mean(0)) ** power

    right = by(root())

    def silent_at(value: Callable[[float], float]) -> Callable:
        def push(s: Tensor, third: Tensor, eps: float, largest: float) -> Tensor:
            return torch.where((third == 0).all(0), value(largest), right(s, third, eps, largest))

        return push

    slips = {
        "the sum is lowest where its slopes cancel, not where the two errors are equal": by(root(6.0)),
        "the constants count here: differentiate the sum of both errors": by(root(1.0)),
        "each of the two lengths is off by eps s: 2 eps s / (2 push)": by(root(1.5)),
        "3 belongs above the line: solve push^3 |third| = 3 eps s": by(root(1 / 3)),
        "a central difference has the third root": by(root(3.0, 1 / 2)),
        "the root of the fraction, not the fraction": by(root(3.0, 1.0)),
        "eps^(1/3) is for lengths and derivatives of the size of 1": by(
            lambda s, third, eps: torch.full_like(third[0], eps ** (1 / 3))),
        "rounding is relative: eps s, not eps": by(
            lambda s, third, eps: (3 * eps / third.abs().mean(0)) ** (1 / 3)),
        "s is the squared length already, no root of it": by(
            lambda s, third, eps: (3 * eps * s.sqrt().mean() / third.abs().mean(0)) ** (1 / 3)),
        "rounding is eps s: where is eps?": by(
            lambda s, third, eps: (3 * s.mean() / third.abs().mean(0)) ** (1 / 3)),
        "one push for all samples: average the two errors, not the pushes": by(
            lambda s, third, eps: ((3 * eps * s[:, None] / third.abs()) ** (1 / 3)).mean(0)),
        "|third| of each sample, then the mean: truncations do not cancel under |.|": by(
            lambda s, third, eps: (3 * eps * s.mean() / third.mean(0).abs()) ** (1 / 3)),
        "an error has no sign: take |third|": by(
            lambda s, third, eps: (3 * eps * s.mean() / third.mean(0)) ** (1 / 3)),
        "both errors are means: not a sum beside a mean": by(
            lambda s, third, eps: (3 * eps * s.mean() / third.abs().sum(0)) ** (1 / 3)),
        "the mean error over samples, not that of the worst sample": by(
            lambda s, third, eps: (3 * eps * s.amax() / third.abs().amax(0)) ** (1 / 3)),
        "each weight has a push of its own": by(
            lambda s, third, eps: root()(s, third.abs().mean(1, keepdim=True), eps).expand(third.shape[1])),
        "no push above `largest`": lambda s, third, eps, largest: root()(s, third, eps),
        "a large push is cut to `largest` too, not only an infinite one": lambda s, third, eps, largest: (
            root()(s, third, eps).nan_to_num(posinf=largest)),
        "`largest` is the most, not the least": lambda s, third, eps, largest: (
            root()(s, third, eps).clamp(min=largest)),
        "no third derivative, no truncation: push as far as allowed, not by 0": silent_at(lambda most: 0.0),
        "no third derivative, no truncation: that weight is measured best of all, not left out": (
            silent_at(lambda most: float("nan"))),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("best_push: right")


def one_weight(answer: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Exercise 13: ``answer(z, jacobian, theta, factor)`` returns for each weight by how much the squared
    length of the logits changes, on average over samples, when that weight alone is multiplied by its factor;
    and the mask of weights for which the derivative says shorter and it gets longer. Logits z ``[N, K]`` are
    linear in a single weight, with derivatives ``[N, K, P]``; theta, factor ``[P]``."""

    def drawn(n: int, k: int, p: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        theta = numbers(p, seed=seed + 2) * numbers(p, seed=seed + 3).exp()
        kept = chosen(p, 10, seed=seed + 4).double() / 10
        return numbers(n, k, seed=seed), numbers(n, k, p, seed=seed + 1), theta, kept

    z, jacobian, theta, kept = drawn(7, 4, 30, 0)
    still = theta * (chosen(30, 3, seed=9) > 0)
    dead = jacobian * (chosen(30, 4, seed=8) > 0)
    cases = {
        "weights set to zero": (z, jacobian, theta, 0 * kept),
        "weights dampened": (z, jacobian, theta, kept),
        "large logits": (8 * z, jacobian, theta, kept),
        "weights of 0, and some that reach no logit": (z, dead, still, kept),
        "a factor of 1": (z, jacobian, theta, torch.where(chosen(30, 2, seed=7) > 0, kept, 1.0)),
        "one logit": drawn(5, 1, 20, 20),
        "a single sample": drawn(1, 3, 20, 30),
    }

    def parts(z: Tensor, j: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Of first and second order, for each sample [N, P]"""
        return 2 * step * (z[:, :, None] * j).sum(1), step.square() * j.square().sum(1)

    def misled(line: Tensor, change: Tensor) -> Tensor:
        return (line < 0) & (change > 0)

    def by(
        total: Callable = torch.add,
        step: Callable = lambda theta, factor: (factor - 1) * theta,
        of: Callable = parts,
        mean: Callable = lambda each: each.mean(0),
        mask: Callable = misled,
    ) -> Callable:
        def found(z: Tensor, j: Tensor, theta: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
            first, second = of(z, j, step(theta, factor))
            line, change = mean(first), mean(total(first, second))
            return change, mask(line, change)

        return found

    def given(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        """With the right mask"""
        return lambda *a: (of(by()(*a)[0], a[0]), by()(*a)[1])

    def summed(z: Tensor, j: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        return parts(z.sum(1, keepdim=True), j.sum(1, keepdim=True), step)

    def largest(z: Tensor, j: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        at = z.argmax(1)[:, None]
        return parts(z.gather(1, at), j.gather(1, at[:, :, None].expand(-1, -1, j.shape[2])), step)

    def averaged(z: Tensor, j: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        return parts(z.mean(0, keepdim=True), j.mean(0, keepdim=True), step)

    def together(z: Tensor, j: Tensor, theta: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        change, mask = by(of=lambda z, j, step: parts(z, (j * step).sum(2, keepdim=True), torch.ones(1)))(
            z, j, theta, factor
        )
        return change.expand(len(theta)), mask.expand(len(theta))

    slips = {
        "a push of this size bends: the term with its square belongs to it": by(lambda a, b: a),
        "the curvature alone: the derivative belongs to it as well": by(lambda a, b: b),
        "dampening moves a weight towards 0, by (factor - 1) theta": by(step=lambda t, c: (1 - c) * t),
        "a weight moves by (factor - 1) theta, not by factor times theta": by(step=lambda t, c: c * t),
        "dampened to its factor, not always to zero": by(step=lambda t, c: -t),
        "a push is as large as its weight: where is theta?": by(step=lambda t, c: c - 1),
        "the square of z + push J has the middle term 2 z push J": by(lambda a, b: a / 2 + b),
        "half the second derivative of a square is J^2, not 2 J^2": by(lambda a, b: a + 2 * b),
        "the second derivative of a square is 2 J^2, half of it J^2": by(lambda a, b: a + b / 2),
        "in the second order the push is squared: its factor, too": lambda z, j, theta, factor: by(
            of=lambda z, j, step: (parts(z, j, step)[0], parts(z, j, step)[1] / (1 - factor).clamp(min=1e-99))
        )(z, j, theta, factor),
        "in the second order the push is squared: theta, too": by(
            of=lambda z, j, step: (parts(z, j, step)[0], step.abs() * j.square().sum(1))),
        "square each logit, then add up: not the square of the sum": by(of=summed),
        "all logits count, not the largest alone": by(of=largest),
        "the squared length adds the logits up: not their mean": given(
            lambda change, z: change / z.shape[1]),
        "each sample has its own change: average changes, not logits and derivatives": by(of=averaged),
        "the mean over samples, not their sum": by(mean=lambda each: each.sum(0)),
        "a change has a sign: longer or shorter": given(lambda change, z: change.abs()),
        "a change has a sign in every sample: no |.| before the mean": lambda *a: (
            by(mean=lambda each: each.abs().mean(0))(*a)[0], by()(*a)[1]),
        "the change, not the length after it": given(lambda change, z: change + z.square().sum(1).mean()),
        "a change of the length, not a share of it": given(
            lambda change, z: change / z.square().sum(1).mean()),
        "one weight at a time, not all together": together,
        "True where the derivative is wrong, not where it is right": by(mask=lambda a, b: ~misled(a, b)),
        "nothing changes, nothing is wrong: 0 is neither shorter nor longer": by(
            mask=lambda a, b: (a <= 0) & (b >= 0)),
        "the sign is asked for: a line may be wrong in size and right in sign": by(
            mask=lambda a, b: (a - b).abs() > b.abs()),
        "longer is not yet wrong: the derivative has to say shorter": by(mask=lambda a, b: b > 0),
        "shorter is what the derivative says: is it what happens?": by(mask=lambda a, b: a < 0),
        "a mask of True and False, not positions": by(mask=lambda a, b: misled(a, b).nonzero()[:, 0]),
        "first the change, then the mask": lambda *a: by()(*a)[::-1],
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("one_weight: right")
