"""An exercise of page 14: does a score find what matters, compared within each layer?"""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def same_layer(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Exercise 14: ``answer(score, selective, layer)`` returns how often, of two filters of one layer one of
    which is selective, that one has the higher score (a tie is half); NaN scores are left out; without a pair
    NaN."""
    layer = torch.tensor([7, 2, 40])[chosen(40, 3, seed=1) * (chosen(40, 3, seed=2) > 0)]
    mask = chosen(40, 4, seed=3) == 0
    score = numbers(40, seed=4).exp() + 0.6 * mask + layer / 10
    tied, dead = (2 * score).round() / 2, score.masked_fill(chosen(40, 5, seed=6) == 0, float("nan"))
    cases = {
        "layers of unequal size": (score, mask, layer),
        "equal scores": (tied, mask, layer),
        "filters that nothing needs (NaN)": (dead, mask, layer),
        "a layer without selective filters": (score, mask & (layer != 40), layer),
        "one layer": (score[:12], mask[:12], 0 * layer[:12]),
        "scores below 0": (-score, mask, layer),
        "no pair of one layer": (score[:6], torch.arange(6) < 3, torch.tensor([1, 2, 1, 4, 6, 4])),
    }

    def half(a: Tensor, b: Tensor) -> Tensor:
        return (a > b).double() + 0.5 * (a == b)

    def pairs(score: Tensor, mask: Tensor, layer: Tensor, leave: bool = True) -> Tensor:
        """[F, F]: the first is selective, the second is not, in one layer"""
        found = (layer[:, None] == layer) & mask[:, None] & ~mask
        return found & score.isfinite()[:, None] & score.isfinite() if leave else found

    def mean(values: Tensor) -> float:
        return float(values.double().mean())

    def by(
        win: Callable = half, of: Callable = pairs, score: Callable = lambda s, layer: s
    ) -> Callable[[Tensor, Tensor, Tensor], float]:
        def found(s: Tensor, mask: Tensor, layer: Tensor) -> float:
            s = score(s, layer)
            return mean(win(s[:, None], s)[of(s, mask, layer)])

        return found

    right = by()

    def everywhere(s: Tensor, mask: Tensor, layer: Tensor) -> float:
        return right(s, mask, 0 * layer)

    def layers(s: Tensor, mask: Tensor, layer: Tensor, none: float = float("nan")) -> float:
        each = torch.tensor([right(s, mask & (layer == k), layer) for k in layer.unique()])
        return mean(each[each.isfinite()] if none != none else each.nan_to_num(none))

    def centred(s: Tensor, mask: Tensor, layer: Tensor) -> float:
        means = torch.stack([s[layer == k].nanmean() for k in layer])
        return everywhere(s - means, mask, layer)

    def any_two(s: Tensor, mask: Tensor, layer: Tensor) -> Tensor:
        return (layer[:, None] == layer) & (mask[:, None] ^ mask) & s.isfinite()[:, None] & s.isfinite()

    def all_pairs(s: Tensor, mask: Tensor, layer: Tensor) -> float:
        there = s.isfinite()
        number = int((mask & there).sum() * (~mask & there).sum())
        return float((half(s[:, None], s) * pairs(s, mask, layer)).sum()) / number

    def unpaired(value: float) -> Callable:
        return lambda *a: value if not pairs(*a).any() else right(*a)

    slips = {
        "compare filters of one layer: layers have scales of their own": everywhere,
        "subtracting a layer's mean is not comparing within it": centred,
        "each pair counts the same, not each layer": layers,
        "a layer without a pair says nothing: no half for it": lambda *a: layers(*a, none=0.5),
        "a tie is worth a half, not nothing": by(lambda a, b: (a > b).double()),
        "a tie is worth a half, not all": by(lambda a, b: (a >= b).double()),
        "a tie is worth a half, it is not left out": lambda s, mask, layer: by(
            of=lambda *a: pairs(*a) & (s[:, None] != s))(s, mask, layer),
        "the selective filter has to be the higher one, not the lower": by(lambda a, b: half(b, a)),
        "one of the two is selective and the other is not; in a pair each has its place": by(of=any_two),
        "a filter without a score (NaN) does not lose: leave it out": by(
            of=lambda *a: pairs(*a, leave=False)),
        "a filter without a score (NaN) does not have 0: leave it out": by(
            score=lambda s, layer: s.nan_to_num(0.0)),
        "divide by the number of pairs within layers": all_pairs,
        "a share from 0 to 1, not percent": lambda *a: 100 * right(*a),
        "by how much it is higher does not count": by(lambda a, b: a - b),
        "the share, not the number of pairs": lambda *a: right(*a) * int(pairs(*a).sum()),
        "0.5 is chance, 1 is best: not twice the distance to chance": lambda *a: 2 * right(*a) - 1,
        "without a pair nothing is known: NaN, not 0.5": unpaired(0.5),
        "without a pair nothing is known: NaN, not 0": unpaired(0.0),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("same_layer: right")
