"""Exercises on accuracies by class: page 04 on every class, page 06 on test images mixed as D_f."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge


def _per_class(of: Callable[[Tensor, Tensor], tuple]) -> Callable:
    """A number for each class c, from ``of(predicted == c, y == c)``: a count over a count."""

    def table(predicted: Tensor, y: Tensor, n_classes: int) -> Tensor:
        rows = [of(predicted == c, y == c) for c in range(n_classes)]
        return torch.tensor([100 * float(a) / float(b) if b else float("nan") for a, b in rows]).double()

    return table


def per_class(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """Exercise 04: ``answer(predicted, y, n_classes)`` returns the accuracy (%) of each class."""
    right = _per_class(lambda said, true: ((said & true).sum(), true.sum()))
    y = chosen(40, 4, seed=1)
    cases = {
        "two classes": (torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2),
        "four classes of unequal size": (torch.where(chosen(40, 3) > 0, y, chosen(40, 4, seed=2)), y, 4),
        "a class without images (of 5)": (chosen(40, 5, seed=3), y, 5),
    }
    slips = {
        "divide by the images *of* the class, not by the answers that name it": _per_class(
            lambda said, true: ((said & true).sum(), said.sum())),
        "in percent, please": lambda p, y, n: right(p, y, n) / 100,
        "one number for each class, not one for all": lambda p, y, n: 100 * (p == y).double().mean(),
        "divide by the images of the class, not by all images": _per_class(
            lambda said, true: ((said & true).sum(), len(true))),
        "right is what is of the class *and* called so": _per_class(
            lambda said, true: ((said == true).sum(), len(true))),
        "a class without images has no accuracy: NaN, not 0": lambda p, y, n: right(p, y, n).nan_to_num(0.0),
        "a class without images has none: NaN, not 100": lambda p, y, n: right(p, y, n).nan_to_num(100.0),
        "the share that is wrong is the other one": lambda p, y, n: 100 - right(p, y, n),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("per_class: right")


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
    """Exercise 06: ``answer(predicted, y, forget_y)`` returns the accuracy (%) on test images whose
    classes are mixed as in D_f."""
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
        "each class as often as in D_f, not all alike": _matched(
            lambda mine, tested: (mine > 0) / (mine > 0).sum()),
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
