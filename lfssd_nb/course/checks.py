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


def per_class(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """Exercise 04: ``answer(predicted, y, n_classes)`` returns the accuracy (%) of each class."""
    predicted, y = torch.tensor([0, 0, 1, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 1, 1])
    found = torch.as_tensor(answer(predicted, y, 3), dtype=torch.float64)
    _expect(found.shape == (3,), f"one number per class, 3 here; got shape {tuple(found.shape)}")
    _expect(bool(torch.isnan(found[2])), "a class without images has no accuracy: NaN, not 0 or 100")
    _expect(found[0] > 1, "in percent, please")
    right = torch.tensor([200 / 3, 200 / 3], dtype=torch.float64)
    _expect(torch.allclose(found[:2], right), f"two of three are right in both classes; got {found[:2]}")
    found = torch.as_tensor(answer(torch.tensor([1, 1]), torch.tensor([0, 1]), 2), dtype=torch.float64)
    _expect(
        found.tolist() == [0, 100], "divide by the images *of* the class, not by the answers that name it"
    )
    print("per_class: right")


def sibling_gap(answer: Callable[[Tensor, Tensor, Tensor, int, int], float]) -> None:
    """Exercise 05: ``answer(predicted, y, sub, forgotten, sibling)`` returns how many points of accuracy
    the sibling has lost more than the sub-classes that are neither."""
    y, sub = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([8, 8, 0, 0, 1, 7, 1, 7])
    found = answer(torch.tensor([1, 1, 0, 1, 1, 1, 1, 1]), y, sub, 8, 0)
    _expect(abs(found - 50) < 1e-9, f"sibling 50 %, the others 100 %: 50 points apart; got {found}")
    found = answer(torch.tensor([0, 0, 0, 0, 1, 1, 0, 0]), y, sub, 8, 0)
    _expect(abs(found + 50) < 1e-9, "the sign matters: where the others lose more, the gap is negative")
    found = answer(torch.tensor([1, 1, 0, 0, 1, 1, 1, 1]), y, sub, 8, 0)
    _expect(abs(found) < 1e-9, "the forgotten sub-class itself belongs to neither group")
    print("sibling_gap: right")


def spread(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 06: ``answer(per_sample, size)`` predicts the standard deviation of I(D_f) / I(D) over
    random forget sets of ``size`` rows of ``per_sample`` [N, P]."""
    table = torch.tensor([[1.0, 2.0], [3.0, 2.0], [1.0, 2.0], [3.0, 2.0]])
    found = torch.as_tensor(answer(table, 4), dtype=torch.float64)
    _expect(found.shape == (2,), "one prediction per weight (column)")
    _expect(
        torch.allclose(found, torch.zeros(2).double()),
        "D_f = D has ratio 1 exactly: the factor sqrt(1 - N_f/N)",
    )
    found = torch.as_tensor(answer(table, 1), dtype=torch.float64)
    _expect(found[1] == 0, "a weight that all samples need equally has no spread")
    exact = 0.5 * torch.tensor([1.0, 4 / 3]).double().sqrt() * (3 / 4) ** 0.5
    _expect(
        bool(((found[0] - exact).abs() < 1e-6).any()),
        f"c / sqrt(N_f) sqrt(1 - N_f/N), with c = std / mean; got {found[0]}",
    )
    two = torch.as_tensor(answer(table.repeat(50, 1), 2), dtype=torch.float64)[0]
    one = torch.as_tensor(answer(table.repeat(50, 1), 1), dtype=torch.float64)[0]
    _expect(abs(one / two - (199 / 198 * 2) ** 0.5) < 1e-6, "twice the samples, 1 / sqrt(2) of the spread")
    print("spread: right")


def tow(answer: Callable[[dict, dict], float]) -> None:
    """Exercise 07: ``answer(mine, gold)`` returns ToW from accuracies in percent."""
    gold = {"a": 0.0, "b": 100.0, "c": 90.0}
    _expect(abs(answer(gold, gold) - 1) < 1e-12, "gold itself has ToW 1")
    found = answer(gold | {"a": 50.0}, gold)
    _expect(found >= 0, "accuracies are percents here: divide the gaps by 100")
    _expect(abs(found - 0.5) < 1e-12, f"one gap of 50 points leaves a factor of 0.5; got {found}")
    _expect(abs(answer(gold | {"c": 100.0}, gold) - 0.9) < 1e-12, "above gold is as far as below: take |gap|")
    _expect(
        abs(answer(gold | {"a": 50.0, "b": 80.0}, gold) - 0.4) < 1e-12, "multiply the factors, do not average"
    )
    print("tow: right")


def two_sided(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Exercise 08: ``answer(a, b)`` returns the two-sided distance |AUC - 1/2| of two lists of scores."""
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    above, below = (float(answer(*pair)) for pair in ((high, low), (low, high)))
    _expect(abs(above - 1) > 1e-6, "that is the AUC itself: subtract 1/2")
    _expect(abs(above - 0.5) < 1e-6, f"scores that are all higher are 0.5 apart; got {above}")
    _expect(abs(below + 0.5) > 1e-6, "two sides: take the absolute value: lower scores tell, too")
    _expect(abs(below - 0.5) < 1e-6, f"scores that are all lower are 0.5 apart as well; got {below}")
    same = float(answer(torch.ones(3), torch.ones(5)))
    _expect(abs(same) < 1e-6, f"a tie counts as half: equal scores are 0 apart; got {same}")
    mixed = float(answer(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 2.0, 3.0])))
    # of the 6 pairs 2 are won and 1 is tied: AUC = 2.5 / 6
    _expect(abs(mixed - 0.5 / 6) < 1e-6, f"compare every a with every b: expected 1/12, got {mixed}")
    print("two_sided: right")


def partial_batch(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 11: ``answer(g, size)`` returns LFSSD's published importance |mean over a batch|, averaged
    over batches, from per-sample gradients ``g [N, P]`` in the order of D."""
    g = torch.tensor([[1.0, 4.0], [1.0, -4.0], [3.0, 2.0], [3.0, -2.0], [9.0, 9.0]], dtype=torch.float64)
    one = torch.as_tensor(answer(g, 1), dtype=torch.float64)
    _expect(torch.allclose(one, g.abs().mean(0)), "batches of one give the per-sample importance, mean |g|")
    all_ = torch.as_tensor(answer(g, 5), dtype=torch.float64)
    _expect(torch.allclose(all_, g.mean(0).abs()), "one batch gives |mean of g|: average before taking |.|")
    found = torch.as_tensor(answer(g, 2), dtype=torch.float64)
    fair = torch.tensor([17 / 5, 9 / 5]).double()
    _expect(
        not torch.allclose(found, fair), "the reference code weighs the last, smaller batch like a full one"
    )
    exact = torch.tensor([13 / 3, 3.0]).double()
    _expect(torch.allclose(found, exact), f"three batches: (1 + 3 + 9) / 3 and (0 + 0 + 9) / 3; got {found}")
    print("partial_batch: right")


def networks(answer: Callable[[Tensor, list[float]], int]) -> None:
    """Exercise 09: ``answer(ratios, alphas)`` returns how many different networks a sweep over ``alphas``
    makes at lambda = 1, given I(D_f) / I(D) of every weight."""
    ratios = torch.tensor([0.5, 2.0, 2.0, 3.0, 8.0])
    _expect(answer(ratios, [1.0]) == 1, "one alpha makes one network")
    _expect(answer(ratios, [9.0, 10.0, 11.0]) == 1, "above the largest ratio every alpha leaves the original")
    _expect(answer(ratios, [4.0, 5.0, 7.0]) == 1, "between two ratios the selected set does not change")
    _expect(answer(ratios, [2.5, 3.0]) == 2, "a tie is not selected: the inequality is strict")
    _expect(answer(ratios, [1.0, 9.0, 1.5, 10.0]) == 2, "the order of the alphas does not matter")
    _expect(
        answer(ratios, [0.1, 0.7, 1.0]) == 1,
        "a weight with a ratio up to lambda = 1 may be selected, but its factor min(1 / r, 1) is 1",
    )
    found = answer(ratios, [0.1, 1.0, 2.0, 3.0, 8.0])
    _expect(found == 4, f"four networks, the original among them; got {found}")
    print("networks: right")


def margin(answer: Callable[[Tensor], Tensor]) -> None:
    """Exercise 10: ``answer(z)`` returns the largest minus the second largest logit of each row of [N, K]."""
    z = torch.tensor([[1.0, 4.0, 2.0], [3.0, 3.0, -1.0], [-5.0, -1.0, -2.0]])
    found = answer(z)
    _expect(
        isinstance(found, Tensor), f"return a tensor, so that it can be differentiated; got {type(found)}"
    )
    _expect(tuple(found.shape) == (3,), f"one number for each sample, [3]; got {list(found.shape)}")
    _expect(not torch.equal(found, z.max(1).values), "that is the largest logit: subtract the second largest")
    _expect(bool((found >= 0).all()), "the largest minus the second, not the other way round")
    _expect(
        not torch.equal(found, z.amax(1) - z.amin(1)),
        "that is largest minus smallest: take the second largest",
    )
    _expect(float(found[1]) == 0, "two logits that are equally large have a margin of 0: count both")
    _expect(torch.equal(found, torch.tensor([2.0, 0.0, 1.0])), f"expected [2, 0, 1]; got {found.tolist()}")
    leaf = z[:1].clone().requires_grad_()
    answer(leaf).sum().backward()
    _expect(
        leaf.grad is not None and torch.equal(leaf.grad, torch.tensor([[0.0, 1.0, -1.0]])),
        "its gradient is 1 at the largest and -1 at the second largest logit: nothing may be detached",
    )
    print("margin: right")
