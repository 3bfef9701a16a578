"""Exercises of the pages on what follows from the rule."""

from collections.abc import Callable

import torch
from torch import Tensor

from .hints import expect
from .judge import judge, numbers


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
