"""Exercises of page 08: audits."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _auc(a: Tensor, b: Tensor, tie: float = 0.5) -> float:
    above, equal = a[:, None] > b, a[:, None] == b
    return float(above.double().mean() + tie * equal.double().mean())


def two_sided(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Exercise 08: ``answer(a, b)`` returns the two-sided distance ``|AUC - 1/2|`` of two lists of scores."""
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    cases = {
        "scores that are all higher": (high, low),
        "scores that are all lower": (low, high),
        "equal scores": (torch.ones(3), torch.ones(5)),
        "lists of unequal length": (numbers(30), numbers(7, seed=1) + 0.5),
        "many ties": (chosen(40, 4).double(), chosen(25, 3, seed=1).double()),
    }
    slips = {
        "that is the AUC itself: subtract 1/2": _auc,
        "that is the AUC itself, the other way round: subtract 1/2": lambda a, b: _auc(b, a),
        "two sides: take the absolute value, lower scores tell, too": lambda a, b: _auc(a, b) - 0.5,
        "two sides: take the absolute value, higher scores tell, too": lambda a, b: 0.5 - _auc(a, b),
        "a tie counts as half, not as nothing": lambda a, b: abs(_auc(a, b, 0.0) - 0.5),
        "a tie counts as half, not as a win": lambda a, b: abs(_auc(a, b, 1.0) - 0.5),
        "s ends at 1/2: without a factor of 2": lambda a, b: 2 * abs(_auc(a, b) - 0.5),
        "0.5 apart is where one number tells: do not fold at 1/2": lambda a, b: max(_auc(a, b), _auc(b, a)),
        "ranks, not means: compare every a with every b": lambda a, b: float((a.mean() - b.mean()).abs()),
        "not the square: |AUC - 1/2|": lambda a, b: (_auc(a, b) - 0.5) ** 2,
    }
    judge(answer, lambda a, b: abs(_auc(a, b) - 0.5), cases, slips)
    print("two_sided: right")
