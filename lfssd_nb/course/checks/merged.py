"""An exercise of page 19: the importances of an adapter from gradients by the merged matrix."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge, numbers

Named = dict[str, Tensor]


def adapters(answer: Callable[[Tensor, Tensor, Tensor, float], Named]) -> None:
    """Exercise 19: ``answer(grads, a, b, scale)`` returns the importances ``{"a": [r, n], "b": [m, r]}`` of
    an adapter, from each sample's gradient by the merged matrix W' = W + scale b a; grads ``[N, m, n]``."""

    def made(n_: int, m: int, n: int, r: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        return numbers(n_, m, n, seed=seed), numbers(r, n, seed=seed + 1), numbers(m, r, seed=seed + 2)

    g, a, b = made(6, 5, 7, 2, 1)
    cases = {
        "rank 2": (g, a, b, 1.0),
        "a scale of 3": (g, a, b, 3.0),
        "a scale of 0.5, rank 3": (*made(9, 4, 6, 3, 10), 0.5),
        "a square layer of full rank": (*made(5, 3, 3, 3, 20), 2.0),
        "B = 0, as at the beginning": (g, a, 0 * b, 2.0),
        "samples without a gradient": (g * (torch.arange(6) % 2)[:, None, None], a, b, 4.0),
        "a single sample": (g[:1], a, b, 1.5),
        "rank 1": (*made(8, 6, 2, 1, 30), 1.0),
    }

    def by(
        of_a: Callable = lambda g, a, b: b.T @ g,
        of_b: Callable = lambda g, a, b: g @ a.T,
        size: Callable = Tensor.abs,
        mean: Callable = lambda each: each.mean(0),
        scale: Callable = lambda s: (s, s),
    ) -> Callable:
        def found(g: Tensor, a: Tensor, b: Tensor, s: float) -> Named:
            s_a, s_b = scale(s)
            return {"a": mean(size(s_a * of_a(g, a, b))), "b": mean(size(s_b * of_b(g, a, b)))}

        return found

    def squares_only(right: Callable) -> Callable:
        """Where a slip has another shape unless all sizes are equal"""
        return lambda g, a, b, s: (
            right(g, a, b, s) if a.shape == b.shape and g.shape[1] == g.shape[2] else by()(g, a + 1, b + 1, s)
        )

    def swapped(g: Tensor, a: Tensor, b: Tensor, s: float) -> Named:
        found = by()(g, a, b, s)
        return {"a": found["b"], "b": found["a"]}

    slips = {
        "|.| after the product: within a sample its terms may cancel": by(
            lambda g, a, b: b.T.abs() @ g.abs(), lambda g, a, b: g.abs() @ a.T.abs()),
        "an importance of the merged matrix knows no signs: it cannot be carried through the product": by(
            lambda g, a, b: b.T @ g.abs(), lambda g, a, b: g.abs() @ a.T),
        "|.| of each sample, then the mean": lambda g, *rest: by()(g.mean(0, keepdim=True), *rest),
        "where is |.|? an importance is never negative": by(size=lambda v: v),
        "|.|, not the square: that is SSD's": by(size=Tensor.square),
        "the root of the mean square is not the mean of |.|": by(
            size=Tensor.square, mean=lambda each: each.mean(0).sqrt()),
        "scale stands in front of the product: it is in both gradients": by(scale=lambda s: (1, 1)),
        "scale is in the gradient of A, too": by(scale=lambda s: (1, s)),
        "scale is in the gradient of B, too": by(scale=lambda s: (s, 1)),
        "scale is there once, not squared": by(scale=lambda s: (s * s, s * s)),
        "a gradient is multiplied by scale, not divided by it": by(scale=lambda s: (1 / s, 1 / s)),
        "the mean over samples, not their sum": by(mean=lambda each: each.sum(0)),
        "the mean over samples, not their largest": by(mean=lambda each: each.amax(0)),
        "the gradient of A has B in it, and that of B has A: not the other way round": swapped,
        "how the output reacts to A is the column of B behind it: B transposed": squares_only(
            by(lambda g, a, b: b @ g)),
        "how the output reacts to B is the row of A before it: A transposed": squares_only(
            by(of_b=lambda g, a, b: g @ a)),
        "the gradient times the weight is another measure": lambda g, a, b, s: {
            "a": (s * b.T @ g * a).abs().mean(0), "b": (s * g @ a.T * b).abs().mean(0)},
        "with B = 0 it is only A that has no gradient": lambda g, a, b, s: (
            {k: v * bool(b.any()) for k, v in by()(g, a, b, s).items()}),
        "with B = 0 no output depends on A: its importance is 0 there": lambda g, a, b, s: (
            by()(g, a, b if b.any() else torch.ones_like(b), s)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("adapters: right")
