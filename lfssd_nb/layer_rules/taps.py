r"""Convolutions tap by tap.

A tap of the kernel (one of its places) is a matrix from input to output channels. Its gradient is
:math:`\sum_l b_{nl} a_{n,l+t}^T` over output positions l, where a moves by the tap's place t: in a padded
input laid out in one line, that is another beginning, and nothing has to be copied.
"""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import Reduction


def padded(a: Tensor, padding) -> Tensor:
    """`F.pad`, which copies even where nothing is added."""
    return F.pad(a, padding) if any(padding) else a


@dataclass(frozen=True)
class Taps:
    """For each tap views of output gradients and inputs, b ``[N, G, O, L]`` and a ``[N, G, C, L]``, or None
    where the tap sees nothing but padding; ``shape`` of the parameter."""

    n: int
    pairs: list[tuple[Tensor, Tensor] | None]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.n

    def reduced(self, reduce: Reduction) -> Tensor:
        some = next(pair[0] for pair in self.pairs if pair)
        total = some.new_zeros(some.shape[1], self.shape[0] // some.shape[1], self.shape[1], len(self.pairs))
        for tap, pair in enumerate(self.pairs):
            if pair:
                total[..., tap] = reduce.outer(*pair)
        return total.reshape(self.shape)

    def of(self, rows: slice) -> Tensor:
        some = next(b[rows] @ a[rows].mT for b, a in filter(None, self.pairs))
        each = [pair[0][rows] @ pair[1][rows].mT if pair else torch.zeros_like(some) for pair in self.pairs]
        return torch.stack(each, -1).reshape(-1, *self.shape)


def taps(a: Tensor, b: Tensor, weight: Tensor, groups: int, padding, stride, dilation) -> Taps:
    """a ``[N, P, C, *sizes]``, not yet padded, b ``[N, P, O, *positions]``.

    With stride s the input is dealt out to s images (in every dimension) first: a tap reads one of them.
    """
    inside, positions, dims = a.shape[3:], b.shape[3:], b.ndim - 3
    before = [padding[2 * (dims - 1 - d)] for d in range(dims)]
    a = padded(a, padding)
    sizes = [-(-size // s) for size, s in zip(a.shape[3:], stride, strict=True)]  # of an image, rounded up
    a = _grown(a, [n * s for n, s in zip(sizes, stride, strict=True)])
    b = _grown(b, [positions[0], *sizes[1:]]).flatten(3).unflatten(2, (groups, -1))
    steps = [math.prod(sizes[d + 1 :]) for d in range(dims)]  # from one place to the next in a line
    images: dict[tuple[int, ...], Tensor] = {}
    pairs: list[tuple[Tensor, Tensor] | None] = []
    for tap in itertools.product(*map(range, weight.shape[2:])):
        places = [t * gap for t, gap in zip(tap, dilation, strict=True)]
        seen = list(
            map(_seen, places, before, inside, positions, stride)
        )  # positions that see more than padding
        if any(low > high for low, high in seen):
            pairs.append(None)
            continue
        image = tuple(p % s for p, s in zip(places, stride, strict=True))
        if image not in images:
            part = a[(..., *(slice(i, None, s) for i, s in zip(image, stride, strict=True)))]
            images[image] = part.flatten(3).unflatten(2, (groups, -1))
        low, high = (sum(each[k] * step for each, step in zip(seen, steps, strict=True)) for k in (0, 1))
        shift = sum(p // s * step for p, s, step in zip(places, stride, steps, strict=True))
        part = b[..., low : high + 1], images[image][..., low + shift : high + shift + 1]
        pairs.append(tuple(map(_merged, part)))
    return Taps(len(a), pairs, tuple(weight.shape))


def _seen(place: int, before: int, size: int, positions: int, stride: int) -> tuple[int, int]:
    """The first and the last position at which a tap sees the input and not its padding."""
    return max(0, -((place - before) // stride)), min(positions - 1, (size - 1 + before - place) // stride)


def _grown(t: Tensor, sizes) -> Tensor:
    """Zeros behind, up to ``sizes``."""
    more = [
        p for size, now in zip(reversed(sizes), reversed(t.shape[3:]), strict=True) for p in (0, size - now)
    ]
    return F.pad(t, more) if any(more) else t


def _merged(line: Tensor) -> Tensor:
    """``[N, P, G, C, places]`` to ``[N, G, C, P * places]``."""
    return line[:, 0] if line.shape[1] == 1 else line.movedim(1, -2).flatten(-2)
