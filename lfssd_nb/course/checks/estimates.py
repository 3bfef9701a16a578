"""Exercises of page 16, on estimates: calibration, the importances of a layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .hints import expect
from .judge import chosen, judge, numbers


def even_bins(answer: Callable[[Tensor, Tensor, int], tuple[float, float]]) -> None:
    """Exercise 16: ``answer(p, y, bins)`` returns the expected calibration error with bins of an equal number
    of answers, and how much surer than right they are, both in points; p ``[N, K]``, y ``[N]``."""

    def drawn(n: int, k: int, scale: float, seed: int, right: int = 7) -> tuple[Tensor, Tensor]:
        """Answers of which about ``right`` in ten are right, however sure they are"""
        p, wrong = (scale * numbers(n, k, seed=seed)).softmax(1), chosen(n, 10, seed=seed + 1) >= right
        return p, (p.argmax(1) + wrong) % k

    cases = {
        "too sure, bins of 4 and 5 answers": (*drawn(23, 4, 3.0, 1, 5), 5),
        "not sure enough": (*drawn(31, 3, 0.5, 3, 9), 4),
        "some bins too sure, others not sure enough": (*drawn(40, 2, 2.0, 5), 6),
        "ten classes": (*drawn(47, 10, 3.0, 13), 10),
        "a single bin": (*drawn(9, 3, 4.0, 7, 4), 1),
        "fewer answers than bins": (*drawn(4, 3, 2.0, 9, 3), 7),
    }

    def cut(order: Callable[[Tensor], Tensor] = Tensor.argsort, label: bool = False) -> Callable:
        """How much surer than right the answers of each bin are, the least sure first"""

        def parts(p: Tensor, y: Tensor, bins: int) -> tuple[Tensor, ...]:
            sure = p[torch.arange(len(y)), y] if label else p.amax(1)
            return (sure - (p.argmax(1) == y).double())[order(sure)].tensor_split(bins)

        return parts

    even = cut()

    def by(
        ece: Callable[[Tensor], Any] = lambda d: d.mean().abs(),
        parts: Callable = even,
        mean: Callable = lambda each, n: (each * n).sum() / n.sum(),
        side: Callable[[Tensor], Tensor] = Tensor.mean,
        points: float = 100.0,
    ) -> Callable:
        def found(p: Tensor, y: Tensor, bins: int) -> tuple[float, float]:
            filled = [d for d in parts(p, y, bins) if len(d)]
            each, n = torch.stack([ece(d) for d in filled]), torch.tensor([*map(len, filled)]).double()
            surer = torch.cat(even(p, y, bins))
            return points * float(mean(each, n)), points * float(side(surer))

        return found

    def wide(p: Tensor, y: Tensor, bins: int) -> list[Tensor]:
        sure, answer = p.max(1)
        place = (bins * sure).long().clamp(max=bins - 1)
        return [(sure - (answer == y).double())[place == k] for k in range(bins)]

    slips = {
        "bins of an equal number of answers, not of equal width": by(parts=wide),
        "sort the answers by how sure they are, then cut": by(parts=cut(lambda s: torch.arange(len(s)))),
        "the least sure first: the first bins get the answers that are over": by(
            parts=cut(lambda s: s.argsort(descending=True))),
        "a bin counts by the number of its answers": by(mean=lambda each, n: each.mean()),
        "a mean over answers, not the sum over bins": by(mean=lambda each, n: each.sum()),
        "the mean over bins, not the worst of them": by(mean=lambda each, n: each.max()),
        "mean first, then |.|: within a bin, one answer is never as sure as it is right": by(
            lambda d: d.abs().mean()),
        "a bin that is too sure and one that is not sure enough do not cancel: |.| for each": by(Tensor.mean),
        "|.| for each bin, no square": by(lambda d: d.mean().square()),
        "|.| for each bin, no root of a mean of squares": by(
            lambda d: d.mean().square(), mean=lambda each, n: ((each * n).sum() / n.sum()).sqrt()),
        "how sure it is of its own answer, not of the label": by(
            parts=cut(label=True)),
        "surer than right is positive": by(side=lambda d: -d.mean()),
        "the second number has a sign": by(side=lambda d: d.mean().abs()),
        "the second number lets answers cancel: no |.| for each of them": by(side=lambda d: d.abs().mean()),
        "the second number is a mean, too": by(side=Tensor.sum),
        "in points, not as shares": by(points=1.0),
        "a bin without answers counts nothing: a mean over nothing is NaN": lambda p, y, bins: (
            by()(p, y, bins)[0] if bins <= len(y) else float("nan"), by()(p, y, bins)[1]),
        "first the calibration error, then how much surer than right": lambda *a: by()(*a)[::-1],
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("even_bins: right")


class _Written(TorchDispatchMode):
    """The number of elements of all results but views, as the meter of page 16 counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.count += sum(t.numel() for t in tree_leaves(result) if isinstance(t, Tensor))
        return result


Layer = tuple[Tensor, Tensor, Tensor, int, int]


def group_importances(answer: Callable[[Tensor, Tensor, Tensor, int, int], tuple[Tensor, Tensor]]) -> None:
    """Exercise 16: ``answer(a, b, group, k, power)`` returns for each of k groups the mean over its samples
    of ``|gradient|^power``, of the weights ``[k, o, i]`` and the biases ``[k, o]`` of a layer with inputs a
    ``[N, i]`` and derivatives b ``[N, o]`` by its outputs; it writes no number for each sample and weight."""

    def drawn(n: int, i: int, o: int, k: int, power: int, seed: int) -> Layer:
        return numbers(n, i, seed=seed), numbers(n, o, seed=seed + 1), chosen(n, k, seed=seed + 2), k, power

    a, b, group, *_ = drawn(12, 4, 3, 2, 1, 0)
    sparse = a * (chosen(48, 2, seed=4).reshape(12, 4) > 0)
    cases = {
        "LFSSD: |g|": (a, b, group, 2, 1),
        "SSD: its square": (a, b, group, 2, 2),
        "inputs of 0": (sparse, b, group, 2, 1),
        "a group without samples": (a, b, group + (group > 0), 3, 1),
        "the last groups without samples": (a, b, group, 4, 2),
        "one sample a group": (a[:3], b[:3], torch.tensor([2, 0, 1]), 3, 1),
        "one output": drawn(15, 5, 1, 3, 2, 20),
    }

    def each(a: Tensor, b: Tensor, power: float) -> tuple[Tensor, Tensor]:
        return (b[:, :, None] * a[:, None]).abs() ** power, b.abs() ** power

    def mean(part: Tensor, n: int) -> Tensor:
        return part.sum(0) / max(len(part), 1)

    def by(of: Callable = each, reduce: Callable = mean, most: Callable = lambda group, k: k) -> Callable:
        def found(a: Tensor, b: Tensor, group: Tensor, k: int, power: int) -> tuple[Tensor, Tensor]:
            values = of(a, b, power)
            kept = range(most(group, k))
            weights, biases = (torch.stack([reduce(v[group == g], len(a)) for g in kept]) for v in values)
            return weights, biases

        return found

    right = by()

    def then(weights: Callable = lambda w, b: w, biases: Callable = lambda w, b: b) -> Callable:
        return lambda *args: (weights(*right(*args)), biases(*right(*args)))

    def signed(after: Callable) -> Callable:
        def found(a: Tensor, b: Tensor, group: Tensor, k: int, power: int) -> tuple[Tensor, Tensor]:
            raw = by(lambda a, b, power: (b[:, :, None] * a[:, None], b))(a, b, group, k, power)
            return after(raw[0], power), after(raw[1], power)

        return found

    def of_means(a: Tensor, b: Tensor, group: Tensor, k: int, power: int) -> tuple[Tensor, Tensor]:
        m, n = by(lambda a, b, power: (b.abs() ** power, a.abs() ** power))(a, b, group, k, power)
        return m[:, :, None] * n[:, None], m

    def all_of(a: Tensor, b: Tensor, group: Tensor, k: int, power: int) -> tuple[Tensor, Tensor]:
        sums = by(reduce=lambda part, n: part.sum(0))(a, b, group, k, power)
        weights, biases = (v.sum(0, True).expand_as(v) / len(a) for v in sums)
        return weights, biases

    slips = {
        "|.| of each sample, before they are added up: signs cancel": signed(
            lambda raw, power: raw.abs() ** power),
        "an importance has no sign: |.|": lambda *args: (
            (signed(lambda raw, p: raw) if args[-1] == 1 else right)(*args)),
        "the mean over the samples of a group, not over all N": by(reduce=lambda part, n: part.sum(0) / n),
        "the mean over the samples of a group, not their sum": by(reduce=lambda part, n: part.sum(0)),
        "each group for itself": all_of,
        "the power belongs to it: SSD takes squares": lambda a, b, g, k, power: right(a, b, g, k, 1),
        "the power belongs to it: LFSSD takes none": lambda a, b, g, k, power: right(a, b, g, k, 2),
        "the power belongs to both factors, a and b": by(
            lambda a, b, power: ((b[:, :, None] ** power * a[:, None]).abs(), b.abs() ** power)),
        "the power belongs to both factors, b and a": by(
            lambda a, b, power: ((b[:, :, None] * a[:, None] ** power).abs(), b.abs() ** power)),
        "the power comes before the mean": lambda a, b, g, k, power: tuple(
            v**power for v in right(a, b, g, k, 1)),
        "for each sample one product: not the product of two means": of_means,
        "the weights are [k, o, i]: outputs before inputs": then(lambda w, b: w.transpose(1, 2)),
        "the bias has the power as well": lambda a, b, g, k, power: (
            right(a, b, g, k, power)[0], right(a, b, g, k, 1)[1]),
        "the derivative by a bias is b: no input enters it": then(biases=lambda w, b: w.sum(2)),
        "a group without samples has importances of 0, and not 0 / 0": by(
            reduce=lambda part, n: part.sum(0) / len(part)),
        "k groups, with those that no sample belongs to": by(most=lambda group, k: int(group.max()) + 1),
        "first the weights, then the biases": lambda *args: right(*args)[::-1],
    }  # fmt: skip
    judge(answer, right, cases, slips)
    n, i, o = 64, 48, 40
    with _Written() as meter:
        answer(*drawn(n, i, o, 3, 1, 30))
    hint = "right, but it writes a number for each sample and weight: |b a| = |b| |a|, so that"
    expect(meter.count < n * i * o, f"{hint} the sum is a product")
    print("group_importances: right")
