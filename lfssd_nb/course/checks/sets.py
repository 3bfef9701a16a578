"""Exercise of the page on forget sets."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge


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
