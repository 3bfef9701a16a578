"""One use of parameters: a call of a function where parameters and samples meet. What a layer rule is
given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..layer_rules.reduction import Each
from ..precision import wide

Key = tuple[str, ...]  # the names of the parameters, and the function


@dataclass(frozen=True)
class Layout:
    """Where the samples are in the result of a use: its dimension ``dim`` is N, or N times some positions,
    sample by sample or (``minor``) position by position."""

    dim: int
    minor: bool = False
    places: frozenset[int] = frozenset()  # how many positions a sample had in the plan


class _Root(torch.autograd.Function):
    """The very tensor, with the beginning of a graph before it."""

    @staticmethod
    def forward(ctx, anchor: Tensor, out: Tensor) -> Tensor:
        ctx.mark_dirty(out)
        return out

    @staticmethod
    def backward(ctx, g: Tensor) -> tuple[None, None]:
        return None, None


class Use:
    """One call of a function with parameters and samples: what a rule is given."""

    def __init__(self, watch, key: Key):
        self.watch, self.key = watch, key
        layout = watch.layouts.get(key, Layout(0))
        self.dim, self.minor, self.places, self.merged = layout.dim, layout.minor, layout.places, False
        self.kept: list[Tensor] = []  # until the gradient has arrived

    def sampled(self, t) -> bool:
        return self.watch.sampled(t)

    def own(self, t) -> bool:
        return bool(self.watch.names_of(t))

    def plain(self, t):
        """An expression without its way back to parameters; anything else as it is."""
        return t.detach() if isinstance(t, Tensor) and self.own(t) else t

    def split(self, t: Tensor, dim: int | None = None) -> Tensor:
        """Samples first: ``[N, ...]``, or ``[N, positions, ...]`` where samples and positions share a
        dimension."""
        t = t.movedim(self.dim if dim is None else dim, 0)
        n = self.watch.n
        if len(t) % n:
            raise RuntimeError(self.watch.unlike(self.key, "gives other than one row a sample"))
        k = len(t) // n
        if self.watch.planned and k not in self.places:
            raise RuntimeError(self.watch.unlike(self.key, f"sees {k} rows a sample"))
        self.merged = k > 1
        if k == 1:
            return t
        return t.unflatten(0, (k, n)).transpose(0, 1) if self.minor else t.unflatten(0, (n, k))

    def apart(self, t: Tensor, dims: int) -> Tensor:
        """``[N, positions, ...]`` with ``dims`` more dimensions, where `split` has left the positions out."""
        return t[:, None] if t.ndim == dims + 1 else t

    def keep(self, t: Tensor, dim: int | None = None, split: bool = True) -> Callable[[], Tensor]:
        """``t``, split, for when the gradient arrives; a ``RuntimeError`` then if it was overwritten."""
        version, at = t._version, len(self.kept)
        if self.watch.listening:
            self.kept.append(t.detach())

        def later() -> Tensor:
            kept = self.kept[at]
            if kept._version != version:
                raise RuntimeError(self.watch.unlike(self.key, "has its input overwritten in place"))
            return wide(self.split(kept, dim) if split else kept)

        return later

    def result(self, out: Tensor, gradients: Callable[[Tensor], Iterable]) -> Tensor:
        """``out``; when its gradient b arrives, ``gradients(b)`` yields ``(expression, gradient)`` pairs."""
        self.watch.record(self.key, out.shape)
        if not self.watch.listening:
            return out
        if not out.requires_grad:  # nothing before it is trainable: start the graph here
            self.watch.anchors.append(torch.zeros((), requires_grad=True))
            out = _Root.apply(self.watch.anchors[-1], out.clone() if out._is_view() else out)

        def arrived(b: Tensor) -> None:
            for e, make in gradients(self.split(wide(b))):
                if isinstance(e, Tensor) and self.own(e):
                    self.watch.arrived(e, make())
            self.kept.clear()  # the graph, and with it this hook, outlives the backward pass

        out.register_hook(arrived)
        return out

    def spread(self, e: Tensor, shape) -> Tensor:
        """``e`` expanded to ``shape``, of which every sample has its own part."""
        self.watch.record(self.key, shape)
        if not self.watch.listening:
            return e.detach()
        leaf = e.detach().expand(shape).requires_grad_()
        self.watch.anchors.append(leaf)

        def arrived(leaf: Tensor) -> None:
            g, leaf.grad = leaf.grad, None
            self.watch.arrived(*self._shared(e, wide(g)))

        leaf.register_post_accumulate_grad_hook(arrived)
        return leaf

    def _shared(self, e: Tensor, g: Tensor) -> tuple[Tensor, Each]:
        """The part of ``e`` that one sample uses, and its gradient for each sample."""
        full = (1,) * (g.ndim - e.ndim) + tuple(e.shape)
        rows = full[self.dim] != 1 and full[self.dim] == g.shape[self.dim]
        g = self.split(g)
        rest = (*full[: self.dim], *full[self.dim + 1 :])
        over = [1 + self.merged + k for k, size in enumerate(rest) if size == 1]
        over += [1] if self.merged and not rows else []
        one = e
        if rows:
            with torch.enable_grad():  # gradients arrive in a pass that records nothing
                each = self.split(e.reshape(full))
                one = each[0]
            if self.watch.left or not bool((each.detach() == one.detach()).all()):
                raise RuntimeError(self.watch.unlike(self.key, "is different for each sample"))
            self.watch.mark_expression(one, self.watch.names_of(e))
        if not over:
            return one, Each(g.reshape(len(g), *one.shape))
        summed, terms = (t.sum(over).reshape(len(g), *one.shape) for t in (g, g.abs()))
        return one, Each(summed, terms)
