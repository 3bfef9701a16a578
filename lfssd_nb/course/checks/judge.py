"""How a reader's function is judged: beside the right one, on inputs that tell the usual slips apart."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from .hints import asked, difference, expect, same

Slips = Mapping[str, Callable]  # by the hint: a function that makes the mistake


def judge(answer: Callable, right: Callable, cases: Mapping[str, tuple], slips: Slips) -> None:
    """Asks ``answer`` for each of the ``cases`` (arguments, by what they are). Where it is not ``right``
    the hint is that of the slip that gives the same in most of these cases, in half of them at least; if none
    does, what was expected and what came in the first."""
    expect(callable(answer), "hand over the function itself, without calling it: checks.NAME(my_function)")
    found = {what: asked(answer, what, arguments) for what, arguments in cases.items()}
    expected = {what: right(*copy.deepcopy(arguments)) for what, arguments in cases.items()}
    wrong = [what for what in cases if not same(found[what], expected[what])]
    if not wrong:
        return

    def alike(slip: Callable) -> tuple[int, int]:
        agree = [what for what in cases if same(found[what], slip(*copy.deepcopy(cases[what])))]
        return len(set(agree) & set(wrong)), len(agree)

    like = {hint: alike(slip) for hint, slip in slips.items()}
    hint = max(like, key=like.__getitem__)
    expect(2 * like[hint][0] < len(wrong), hint)
    expect(False, f"{wrong[0]}: {difference(found[wrong[0]], expected[wrong[0]])}")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal random numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def chosen(n: int, high: int, seed: int = 0) -> Tensor:
    """n whole numbers below ``high``."""
    return torch.randint(high, (n,), generator=torch.Generator().manual_seed(seed))
