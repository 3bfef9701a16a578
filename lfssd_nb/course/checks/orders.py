"""Exercise of the page on random forget sets: the order in which batch means read D."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import judge


def _parts(drawn: Tensor, forget: Tensor) -> tuple[Tensor, Tensor]:
    """The retained and the forgotten positions, both as they were drawn."""
    gone = torch.isin(drawn, forget)
    return drawn[~gone], drawn[gone]


def _joined(of: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> Callable:
    return lambda drawn, forget: torch.cat(of(*_parts(drawn, forget)))


def reference_order(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 06: ``answer(drawn, forget)`` returns the positions of D in the order of the reference code for a
    random forget set: D_r, then D_f, both in the order of the permutation ``drawn``."""
    cases = {}
    for n, n_f, seed in ((8, 3, 0), (25, 6, 1), (7, 0, 2), (6, 6, 3)):
        draw = torch.Generator().manual_seed(seed)
        drawn, forget = (torch.randperm(n, generator=draw) for _ in range(2))
        cases[f"{n_f} of {n}"] = (drawn, forget[:n_f])
    right = _joined(lambda kept, gone: (kept, gone))

    def by_rank(drawn: Tensor, forget: Tensor) -> Tensor:
        return right(drawn.argsort(), forget)

    slips = {
        "D_f stands last, not in its place": lambda drawn, forget: drawn,
        "first D_r, then D_f": _joined(lambda kept, gone: (gone, kept)),
        "all of D: D_f belongs to it": _joined(lambda kept, gone: (kept,)),
        "D_r comes before it": _joined(lambda kept, gone: (gone,)),
        "D_r in the order drawn, not as stored": _joined(lambda kept, gone: (kept.sort().values, gone)),
        "D_r and D_f in the order drawn, not as stored": _joined(
            lambda kept, gone: (kept.sort().values, gone.sort().values)),
        "D_f, too, in the order drawn, not as stored": _joined(lambda kept, gone: (kept, gone.sort().values)),
        "D_f, too, in the order drawn, not in that of `forget`": lambda drawn, forget: torch.cat(
            [_parts(drawn, forget)[0], forget]),
        "every position once: D_f is not among D_r": lambda drawn, forget: torch.cat(
            [drawn, _parts(drawn, forget)[1]]),
        "drawn[k] is the position that comes k-th, not the place of position k": by_rank,
        "positions in D, not places in `drawn`": lambda drawn, forget: torch.isin(drawn, forget).int().argsort(
            stable=True),
        "return positions, not a mask": lambda drawn, forget: torch.isin(drawn, forget),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("reference_order: right")
