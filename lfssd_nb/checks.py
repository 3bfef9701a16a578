"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def _expect(condition, hint: str) -> None:
    if not bool(condition):
        raise AssertionError(f"not yet: {hint}")


def retain_index(answer: Callable[[int, Tensor], Tensor]) -> None:
    """Exercise 01: ``answer(n, forget)`` returns the positions of D_r = D without D_f."""
    found = answer(6, torch.tensor([4, 1]))
    _expect(isinstance(found, Tensor), f"return a tensor of positions, not {type(found).__name__}")
    _expect(
        found.dtype != torch.bool, "return positions, not a mask: mask.nonzero()[:, 0] turns one into them"
    )
    _expect(not {1, 4} & set(found.tolist()), "a forgotten sample is still retained")
    _expect(
        sorted(found.tolist()) == [0, 2, 3, 5], f"of 6 samples without 1 and 4 remain 0, 2, 3, 5; got {found}"
    )
    _expect(answer(3, torch.tensor([0])).tolist() == [1, 2], "keep the order of D")
    print("retain_index: right")


def sensitivity(answer: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
    """Exercise 02: ``answer(model, x)`` returns LFSSD's per-sample importance by parameter name."""
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0]]))
    # f = x1 + 2 x2, so that d f^2 / d w = 2 f x: two samples with opposite signs
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    expected, cancelled = torch.tensor([[4.0, 4.0]]), torch.tensor([[2.0, 4.0]])
    found = answer(model, x)
    _expect(isinstance(found, dict) and "weight" in found, "return a dict with one tensor per parameter name")
    found = found["weight"].detach().float()
    _expect(found.shape == (1, 2), f"importance has the parameter's shape (1, 2); got {tuple(found.shape)}")
    _expect(
        not torch.allclose(found, cancelled),
        "take the absolute value of each sample's gradient, then average",
    )
    _expect(not torch.allclose(found, 2 * expected), "average over the samples, do not add them up")
    _expect(not torch.allclose(found, expected / 2), "the norm is squared: its gradient has a factor of 2")
    _expect((found >= 0).all(), "an importance is never negative: where is the absolute value?")
    _expect(torch.allclose(found, expected), f"for f = x1 + 2 x2 expected {expected}, got {found}")
    print("sensitivity: right")


def dampened(answer: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> None:
    """Exercise 03: ``answer(theta, i_f, i_d, alpha, lam)`` returns the dampened weights."""
    one = torch.ones(4)
    theta = torch.tensor([1.0, -1.0, 1.0, -1.0])
    before = theta.clone()
    found = answer(theta, torch.tensor([8.0, 8.0, 1.0, 2.0]), one, 2.0, 1.0)
    _expect(torch.equal(theta, before), "return new weights: the reader's model must not change")
    _expect(found[3] == -1, "a tie, I_f = alpha * I_D, is not selected: the inequality is strict")
    _expect(found[2] == 1, "a weight with I_f < alpha * I_D keeps its value")
    _expect(found[0] == 0.125, f"a selected weight shrinks by lam * I_D / I_f = 1/8; got {float(found[0])}")
    _expect(found[1] == -0.125, "clip the factor at 1, not the product: negative weights shrink as well")
    found = answer(theta, 8 * one, one, 2.0, 100.0)
    _expect(torch.equal(found, theta), "clip the factor at 1: with a large lambda no weight may grow")
    found = answer(theta, 8 * one, one, 2.0, 0.0)
    _expect((found == 0).all(), "lambda = 0 prunes the selected weights")
    print("dampened: right")
