"""Exercises of page 01 on forget sets."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge


def _kept(n: int, forget: Tensor) -> Tensor:
    return torch.ones(n, dtype=torch.bool).index_fill(0, forget, False)


def _positions(n: int, forget: Tensor) -> Tensor:
    return _kept(n, forget).nonzero()[:, 0]


def retain_index(answer: Callable[[int, Tensor], Tensor]) -> None:
    """Exercise 01: ``answer(n, forget)`` returns the positions of D_r = D without D_f."""
    cases = {
        "6 samples without 4 and 1": (6, torch.tensor([4, 1])),
        "3 samples without the first": (3, torch.tensor([0])),
        "5 samples without the last three": (5, torch.tensor([2, 3, 4])),
        "7 samples, of which none is forgotten": (7, torch.tensor([], dtype=torch.int64)),
        "8 samples, a position named twice": (8, torch.tensor([5, 2, 5])),
    }
    slips = {
        "return positions, not a mask: mask.nonzero()[:, 0] turns one into them": _kept,
        "return one row of positions [N_r], not a column: nonzero()[:, 0]": lambda n, f: _kept(
            n, f
        ).nonzero(),
        "a forgotten sample is still retained: those are the positions to forget": lambda n, f: f,
        "a forgotten sample is still retained: all are there": lambda n, f: torch.arange(n),
        "keep the order of D": lambda n, f: _positions(n, f).flip(0),
        "positions in D, not numbers from 0 on": lambda n, f: torch.arange(n - len(f)),
        "the last positions need not be those that go": lambda n, f: torch.arange(len(f), n),
    }
    judge(answer, _positions, cases, slips)
    print("retain_index: right")


def _share(y: Tensor, forget: Tensor, n_classes: int) -> Tensor:
    gone = y[forget].bincount(minlength=n_classes).double()
    return 100 * gone / y.bincount(minlength=n_classes)


def forgotten_share(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """Exercise 01: ``answer(y, forget, n_classes)`` returns the percent of each class's images that goes."""
    y = torch.cat([chosen(40, 3), torch.ones(9, dtype=torch.int64)])
    cases = {
        "a whole class": (y, (y == 2).nonzero()[:, 0], 3),
        "random images, classes of unequal size": (y, chosen(49, 49, seed=1).unique()[:11], 3),
        "a class without images (of 5)": (y + (y > 1), torch.tensor([40, 3, 17]), 5),
        "nothing is forgotten": (y, torch.tensor([], dtype=torch.int64), 3),
    }
    slips = {
        "in percent, 0 to 100": lambda *a: _share(*a) / 100,
        "the share that goes, not the one that stays": lambda *a: 100 - _share(*a),
        "divide by the images of the class, not by those of D_f": lambda y, f, n: 100 * y[f].bincount(
            minlength=n).double() / len(f),
        "divide by the images of the class, not by all of D": lambda y, f, n: 100 * y[f].bincount(
            minlength=n).double() / len(y),
        "a share of the class, not a number of images": lambda y, f, n: y[f].bincount(minlength=n),
        "a class without images has no share: NaN, not 0": lambda *a: _share(*a).nan_to_num(0.0),
        "a class without images has no share: NaN, not 100": lambda *a: _share(*a).nan_to_num(100.0),
        "`forget` holds positions in D, not classes: look up y[forget]": lambda y, f, n: 100 * torch.bincount(
            f.clamp(max=n - 1), minlength=n).double() / y.bincount(minlength=n),
        "one number for each class, not one for all": lambda y, f, n: 100 * len(f) / len(y),
        "n_classes numbers: a class may have no images": lambda y, f, n: _share(y, f, n)[: int(y.max())],
        "classes are of unequal size: divide by each one's own": lambda y, f, n: 100 * y[f].bincount(
            minlength=n).double() * n / len(y),
    }  # fmt: skip
    judge(answer, _share, cases, slips)
    print("forgotten_share: right")
