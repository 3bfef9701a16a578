r"""Per-sample gradients in the form in which they come, and how they are added up over samples.

Most never need to be written down. Where a matrix sees one position per sample, the gradient
:math:`b_n a_n^T` has rank one, so :math:`\sum_n |b_n a_n^T| = |B|^T |A|` and
:math:`\sum_n (b_n a_n^T)^2 = (B^2)^T A^2`: one matrix product for the whole batch. Where it sees several,
:math:`\sum_l b_{nl} a_{nl}^T` is formed for a few samples at a time, reduced, and forgotten.

Source: Goodfellow 2015 (1510.01799), Dangel et al. 2020 (1912.10985).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..precision import wide


@dataclass(frozen=True)
class Reduction:
    """How per-sample gradients are added up: ``"abs"``, ``"square"`` or ``"signed"`` (plain sum).

    ``budget`` bounds the elements of a temporary that holds per-sample gradients (4 times as many for
    unfolded patches); inputs and output gradients are bounded by the batch. About 2^18 (1 MB of
    float32) keeps the temporary inside a CPU's cache; a GPU likes it larger.
    """

    kind: str
    budget: int = 2**18

    def each(self, g: Tensor) -> Tensor:
        """|g|, g^2 or g, element by element."""
        return g.abs() if self.kind == "abs" else g.square() if self.kind == "square" else g

    def samples(self, g: Tensor) -> Tensor:
        """Adds up per-sample gradients ``[N, *shape]`` to ``[*shape]``, in float32 or finer."""
        return self.each(wide(g)).sum(0)

    def outer(self, b: Tensor, a: Tensor) -> Tensor:
        """Adds up :math:`g_n = b_n a_n^T`; b ``[N, (G,) O, L]``, a ``[N, (G,) K, L]``, result
        ``[(G,) O, K]``."""
        groups = b.shape[1:-2]
        if b.shape[-1] == 1:
            b, a = (self.each(t.squeeze(-1)) for t in (b, a))
            return torch.einsum("ngo,ngk->gok", b, a) if groups else b.T @ a
        if self.kind == "signed":
            return torch.einsum("n...ol,n...kl->...ok", b, a)
        chunk = max(1, self.budget // (b[0, ..., 0].numel() * a.shape[-2]))
        total = b.new_zeros(*groups, b.shape[-2], a.shape[-2])
        for b_part, a_part in zip(b.split(chunk), a.split(chunk), strict=True):
            g = torch.bmm(b_part.flatten(0, -3), a_part.flatten(0, -3).mT)
            total += (g.abs_() if self.kind == "abs" else g.square_()).view(-1, *total.shape).sum(0)
        return total


@dataclass(frozen=True)
class Outer:
    r""":math:`g_n = \sum_l b_{nl} a_{nl}^T` in the shape of the parameter.

    b ``[N, (G,) O, L]``, a ``[N, (G,) K, L]``, or what ``unfold(a[rows])`` turns into that; ``swap``: the
    parameter is stored as :math:`[K, O]`.
    """

    b: Tensor
    a: Tensor
    shape: tuple[int, ...]
    unfold: Callable[[Tensor], Tensor] | None = None
    patches: int = 0  # elements of one sample's unfolded input
    swap: bool = False

    def __len__(self) -> int:
        return len(self.b)

    def _pair(self, rows: slice) -> tuple[Tensor, Tensor]:
        a = self.a[rows] if self.unfold is None else self.unfold(self.a[rows])
        return (a, self.b[rows]) if self.swap else (self.b[rows], a)

    def reduced(self, reduce: Reduction) -> Tensor:
        if self.unfold is None:
            return reduce.outer(*self._pair(slice(None))).view(self.shape)
        chunk = max(1, 4 * reduce.budget // self.patches)
        parts = (slice(k, k + chunk) for k in range(0, len(self), chunk))
        return sum(reduce.outer(*self._pair(part)) for part in parts).view(self.shape)

    def of(self, rows: slice) -> Tensor:
        b, a = self._pair(rows)
        return (b @ a.mT).reshape(-1, *self.shape)


@dataclass(frozen=True)
class Rows:
    """Gradients of rows of a table ``[V, ...]``: row ``index[n, l]`` gets ``g[n, l]``; a negative index gets
    nothing."""

    index: Tensor
    g: Tensor
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.index)

    def _summed(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Per sample and row: the numbers n * V + row that occur, and the sums of their gradients."""
        index, g = self.index[rows], self.g[rows]
        n = torch.arange(len(index), device=index.device)[:, None]
        keep = index >= 0
        where, back = torch.unique((n * self.shape[0] + index)[keep], return_inverse=True)
        return where, g.new_zeros(len(where), *self.shape[1:]).index_add_(0, back, g[keep])

    def reduced(self, reduce: Reduction) -> Tensor:
        where, sums = self._summed(slice(None))
        return sums.new_zeros(self.shape).index_add_(0, where % self.shape[0], reduce.each(sums))

    def of(self, rows: slice) -> Tensor:
        where, sums = self._summed(rows)
        n = len(self.index[rows])
        table = sums.new_zeros(n * self.shape[0], *self.shape[1:])
        return table.index_copy_(0, where, sums).view(n, *self.shape)


@dataclass(frozen=True)
class Each:
    """Gradients ``[N, *shape]`` as they are. ``terms``: the sums of the absolute values of what was added up
    to them, where they are sums: beside those, a gradient may turn out to be rounding noise."""

    g: Tensor
    terms: Tensor | None = None

    def __len__(self) -> int:
        return len(self.g)

    def reduced(self, reduce: Reduction) -> Tensor:
        return reduce.samples(self.g)

    def of(self, rows: slice) -> Tensor:
        return self.g[rows]


Gradient = Outer | Rows | Each


def joined(several: list[Gradient]) -> Gradient | None:
    """One gradient that is the sum of several of the same parameter, where that needs no more than to put
    their positions side by side; else None."""
    first = several[0]
    alike = all(type(g) is type(first) and getattr(g, "unfold", None) is None for g in several)
    if not alike or not isinstance(first, Gradient):
        return None
    if isinstance(first, Each):
        return Each(sum(g.g for g in several))
    if isinstance(first, Rows):
        return Rows(
            torch.cat([g.index for g in several], 1), torch.cat([g.g for g in several], 1), first.shape
        )
    if len({g.swap for g in several}) > 1:
        return None
    b, a = (torch.cat([getattr(g, k) for g in several], -1) for k in "ba")
    return Outer(b, a, first.shape, swap=first.swap)
