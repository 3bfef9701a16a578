"""Exercises of the page on random forget sets: spread, small batches, and what to compare with."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def spread(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise 06: ``answer(per_sample, size)`` predicts the standard deviation of I(D_f) / I(D) over random
    forget sets of ``size`` rows of ``per_sample`` [N, P]."""
    table, uneven = numbers(12, 5, seed=1).square(), numbers(40, 3, seed=2).exp()
    table[:, 1], table[:, 4] = 2.0, 0.0
    cases = {
        "3 of 12 rows": (table, 3),
        "20 of 40 rows": (uneven, 20),
        "one row": (uneven, 1),
        "all rows, of which every ratio is 1": (uneven, 40),
    }

    def by(of: Callable[[Tensor, int, int], Tensor]) -> Callable:
        return lambda g, size: of(g.std(0) / g.mean(0), size, len(g))

    right = by(lambda c, n_f, n: c * (1 / n_f - 1 / n) ** 0.5)
    slips = {
        "D_f = D has ratio 1 exactly: drawn without replacement, the factor sqrt(1 - N_f/N)": by(
            lambda c, n_f, n: c / n_f**0.5),
        "sqrt(1 - N_f/N), with the root": by(lambda c, n_f, n: c / n_f**0.5 * (1 - n_f / n)),
        "1 - N_f/N, what is left of D, not N_f/N": by(lambda c, n_f, n: c / n_f**0.5 * (n_f / n) ** 0.5),
        "four times the rows, half of the spread: divide by the root of N_f": by(
            lambda c, n_f, n: c / n_f * (1 - n_f / n) ** 0.5),
        "a mean of N_f rows varies less than one row": by(lambda c, n_f, n: c * (1 - n_f / n) ** 0.5),
        "the spread of the *ratio*: relative to the mean of the column": lambda g, n_f: right(g, n_f) * g.mean(0),
        "the standard deviation, not the variance": lambda g, n_f: right(g, n_f) ** 2,
        "with this factor it is exact for the deviation with N - 1 in it": lambda g, n_f: (
            right(g, n_f) * (1 - 1 / len(g)) ** 0.5),
        "a weight that no sample needs has no ratio: NaN": lambda g, n_f: right(g, n_f).nan_to_num(0.0),
        "one prediction for each weight (column), not one for all": lambda g, n_f: right(g, n_f).nanmean(),
        "over the rows (samples), dim 0": lambda g, n_f: g.std(1) / g.mean(1) * (1 / n_f - 1 / len(g)) ** 0.5,
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("spread: right")


def _weights(of: Callable[[int, int, int], float]) -> Callable:
    """``of(images in the batch, batches, size)`` for each image."""

    def weights(n: int, size: int) -> Tensor:
        parts = torch.arange(n).split(size)
        return torch.cat([torch.full((len(p),), of(len(p), len(parts), size)).double() for p in parts])

    return weights


def image_weights(answer: Callable[[int, int], Tensor]) -> None:
    """Exercise 06: ``answer(n, size)`` returns how much each of ``n`` images counts in the batch means of its
    set, ``[n]``, if no gradients cancel."""
    cases = {
        "70 in batches of 64": (70, 64),
        "9 in batches of 4": (9, 4),
        "8 in batches of 4": (8, 4),
        "25 in batches of 8": (25, 8),
        "5 in batches of 1": (5, 1),
        "14 in batches of 64": (14, 64),
    }
    right = _weights(lambda b, batches, size: 1 / (b * batches))

    def chunks(n: int, size: int) -> Tensor:
        parts = torch.arange(n).chunk(-(-n // size))
        return torch.cat([torch.full((len(p),), 1 / (len(p) * len(parts))).double() for p in parts])

    def whole(n: int, size: int) -> Tensor:
        full = n // size * size
        return torch.cat([torch.full((full,), 1 / max(full, 1)), torch.zeros(n - full)]).double()

    slips = {
        "that would be per sample: here every *batch* counts alike, however small it is": lambda n, size: (
            torch.full((n,), 1 / n).double()),
        "a mean over the batches as well: the weights add up to 1": _weights(lambda b, batches, size: 1 / b),
        "a mean within the batch as well: the weights add up to 1": _weights(lambda b, batches, size: 1 / batches),
        "the mean of a short batch divides by its own images, not by `size`": _weights(
            lambda b, batches, size: 1 / (size * batches)),
        "batches of `size`, and the last is what is left: split, not chunk": chunks,
        "the short last batch counts as well, as much as any other": whole,
        "a short batch counts as one batch": lambda n, size: right(n, size) * -(-n // size) / max(n // size, 1),
        "the short batch is the last": lambda n, size: right(n, size).flip(0),
        "one weight for each image, not for each batch": lambda n, size: torch.stack(
            [p.sum() for p in right(n, size).split(size)]),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("image_weights: right")


def _by_class(predicted: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Accuracy (%) of each class, NaN without images."""
    correct = torch.bincount(y[predicted == y], minlength=n_classes)
    return 100 * correct.double() / torch.bincount(y, minlength=n_classes)


def _matched(share: Callable[[Tensor, Tensor], Tensor], missing: float = float("nan")) -> Callable:
    """Accuracies of the classes of D_f, ``missing`` where there is none, weighted with
    ``share(images in D_f, test images)``."""

    def accuracy(predicted: Tensor, y: Tensor, forget_y: Tensor) -> float:
        k = int(max(predicted.max(), y.max(), forget_y.max())) + 1
        counts, tested = torch.bincount(forget_y, minlength=k), torch.bincount(y, minlength=k)
        each, of = _by_class(predicted, y, k), share(counts.double(), tested.double())
        return float((each.nan_to_num(missing) * of)[counts > 0].sum())

    return accuracy


def matched_accuracy(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Exercise 06: ``answer(predicted, y, forget_y)`` returns the accuracy (%) on test images whose classes are
    mixed as in D_f."""
    y = torch.cat([chosen(60, 5, seed=1), torch.full((30,), 4)])
    rate = torch.tensor([0, 3, 6, 9, 12])[y]
    predicted = torch.where(chosen(90, 20, seed=2) < rate, (y + 1) % 5, y)
    forget_y = torch.cat([chosen(12, 3, seed=3), torch.full((9,), 3)])
    few = y != 1
    cases = {
        "classes in other shares than in the test set": (predicted, y, forget_y),
        "one image to forget": (predicted, y, torch.tensor([2])),
        "a class that D_f has not, without test images": (predicted[few], y[few], forget_y[forget_y != 1]),
        "a class of D_f without test images": (predicted[few], y[few], forget_y),
    }
    right = _matched(lambda mine, tested: mine / mine.sum())

    def of_tested(p: Tensor, y: Tensor, f: Tensor) -> float:
        mine = torch.isin(y, f)
        return 100 * float((p == y)[mine].double().mean())

    def poisoned(p: Tensor, y: Tensor, f: Tensor) -> float:
        k = int(max(p.max(), y.max(), f.max())) + 1
        return float((_by_class(p, y, k) * torch.bincount(f, minlength=k) / len(f)).sum())

    slips = {
        "mix the test images as D_f is mixed: not all of them alike": lambda p, y, f: (
            100 * float((p == y).double().mean())),
        "each class as often as in D_f, not as often as in the test set": of_tested,
        "each class as often as in D_f, not all alike": _matched(lambda mine, tested: 1.0 * (mine > 0) / (mine > 0).sum()),
        "the shares of the classes in D_f add up to 1: divide by the images of D_f": lambda p, y, f: (
            right(p, y, f) * len(f) / len(y)),
        "a mean, not a sum: divide by the images of D_f": lambda p, y, f: right(p, y, f) * len(f),
        "in percent": lambda p, y, f: right(p, y, f) / 100,
        "the accuracy, not the share that is wrong": lambda p, y, f: 100 - right(p, y, f),
        "0 times NaN is NaN: a class that D_f has not must stay out": poisoned,
        "of a class without test images nothing is known: NaN, not 0": _matched(
            lambda mine, tested: mine / mine.sum(), 0.0),
        "of a class without test images nothing is known: do not leave it out": lambda p, y, f: right(
            p, y, f[torch.isin(f, y)]),
        "of the images *of* a class, not of those that are called so": lambda p, y, f: right(y, p, f),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("matched_accuracy: right")


Verdict = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def _counts(closer: Callable[[Tensor, Tensor, Tensor], Tensor], tie: Callable = torch.le) -> Verdict:
    """``[3]``: nearer, further, alike, from ``closer(mine, nothing, gold)``, by how much mine is nearer."""

    def counts(mine: Tensor, nothing: Tensor, gold: Tensor, slack: float) -> Tensor:
        by = closer(mine, nothing, gold)
        by = by[~by.isnan()]
        alike = tie(by.abs(), torch.full_like(by, slack))
        return torch.stack([((by > 0) & ~alike).sum(), ((by < 0) & ~alike).sum(), alike.sum()])

    return counts


def beats_nothing(answer: Verdict) -> None:
    """Exercise 06: ``answer(mine, nothing, gold, slack)`` returns in how many cases a method is nearer to gold
    than doing nothing, further from it, and alike to within ``slack``, ``[3]``."""
    nothing, gold, mine = (98 + chosen(30, 9, seed=k).double() / 2 - 2 for k in (1, 2, 3))
    holes = [torch.where(chosen(30, 6, seed=k) == 0, float("nan"), part)
             for k, part in ((4, mine), (5, nothing), (6, gold))]  # fmt: skip
    cases = {
        "thirty cases, a slack of 0.5": (mine, nothing, gold, 0.5),
        "no slack": (mine, nothing, gold, 0.0),
        "cases that were not run (NaN)": (*holes, 0.5),
        "a method that changes nothing": (nothing.clone(), nothing, gold, 0.0),
        "a method that is always worse": (gold - 40, nothing, gold, 1.0),
    }

    def by(mine: Tensor, nothing: Tensor, gold: Tensor) -> Tensor:
        return (nothing - gold).abs() - (mine - gold).abs()

    right = _counts(by)

    def ties_to(place: int) -> Verdict:
        def counts(*a) -> Tensor:
            found = right(*a)
            found[place] += found[2]
            return found * torch.tensor([1, 1, 0])

        return counts

    def holes_alike(m: Tensor, n: Tensor, g: Tensor, slack: float) -> Tensor:
        missing = int((m + n + g).isnan().sum())
        return right(m, n, g, slack) + torch.tensor([0, 0, missing])

    slips = {
        "lower is not better: how far is each from gold?": _counts(lambda m, n, g: n - m),
        "higher is not better: how far is each from gold?": _counts(lambda m, n, g: m - n),
        "above gold is as far as below: |mine - gold|, |nothing - gold|": _counts(
            lambda m, n, g: (n - g) - (m - g)),
        "compare with gold of the same case, not with its mean": _counts(lambda m, n, g: by(m, n, g.nanmean())),
        "compare with nothing done in the same case, not with its mean": _counts(
            lambda m, n, g: (n - g).abs().nanmean() - (m - g).abs()),
        "nearer first: the smaller distance to gold": lambda *a: right(*a)[[1, 0, 2]],
        "within the slack they are alike, not nearer": ties_to(0),
        "within the slack they are alike, not further": ties_to(1),
        "exactly at the slack is still alike": _counts(by, torch.lt),
        "differences within the slack say nothing: use it": lambda m, n, g, slack: right(m, n, g, 0.0),
        "a case that was not run is not alike: leave it out": holes_alike,
        "numbers of cases, not shares": lambda *a: right(*a) / right(*a).sum(),
        "the slack is for the two distances, not for the distance to gold": lambda m, n, g, slack: (
            right(torch.where((m - g).abs() <= slack, g, m), torch.where((n - g).abs() <= slack, g, n), g, 0.0)),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("beats_nothing: right")
