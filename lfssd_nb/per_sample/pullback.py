r"""From the gradient of something that was made of parameters alone, back to the parameters.

For each sample: :math:`\partial s / \partial \theta = (\partial e / \partial \theta)^T\, \partial s /
\partial e`, where e may be the parameter itself, a piece of it, its transpose, its entries in another order
or several times (a table looked up at fixed places), or any function of it (weight norm).
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ..layer_rules.reduction import Each, Gradient, Reduction


class Pullback:
    """For ``parameters`` by name."""

    def __init__(self, parameters: dict[str, Tensor]):
        self.parameters = parameters

    def piece(self, name: str, e: Tensor) -> int | None:
        """Where in the parameter e begins, if it is a piece of it without gaps."""
        p = self.parameters[name]
        if e is p:
            return 0
        inside = e._base is p and e.is_contiguous() and p.is_contiguous()
        return e.storage_offset() - p.storage_offset() if inside else None

    def turned(self, name: str, e: Tensor) -> bool:
        p = self.parameters[name]
        return e._base is p and e.ndim == p.ndim == 2 and (e.T.shape, e.T.stride()) == (p.shape, p.stride())

    def apart(self, name: str, es: list[Tensor]) -> bool:
        """Whether no entry of the parameter is in two of ``es``: each can be reduced as soon as it is
        there."""
        if len(es) == 1:
            return True
        starts = [self.piece(name, e) for e in es]
        if None in starts:
            return False
        spans = sorted((start, start + e.numel()) for start, e in zip(starts, es, strict=True))
        return all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))

    def reduce(self, name: str, e: Tensor, gradient: Gradient, reduce: Reduction, take: Callable) -> None:
        """Hands what the samples' gradients add up to to ``take(name, sums, terms, first element)``."""
        start = self.piece(name, e)
        terms = gradient.terms if isinstance(gradient, Each) else None
        if start is not None:
            whole = e.shape == self.parameters[name].shape
            terms = None if terms is None else reduce.samples(terms)
            take(name, gradient.reduced(reduce), terms, None if whole else start)
        elif self.turned(name, e):
            take(name, gradient.reduced(reduce).T, None, None)
        else:
            chunk = max(1, reduce.budget // max(e.numel(), self.parameters[name].numel()))
            for first in range(0, len(gradient), chunk):
                g = gradient.of(slice(first, first + chunk))
                take(name, reduce.samples(self.of(name, e, g)), None, None)

    def of(self, name: str, e: Tensor, g: Tensor) -> Tensor:
        """Gradients ``[n, *e.shape]`` of e to ``[n, *shape]`` of the parameter."""
        p, start = self.parameters[name], self.piece(name, e)
        if start is None and self.turned(name, e):
            return g.mT
        places = None if start is not None else self.places(name, e)
        if start is not None or places is not None:
            found = g.new_zeros(len(g), p.numel())
            if start is not None:
                found[:, start : start + e.numel()] = g.flatten(1)
            else:
                used = places >= 0
                found.index_add_(1, places[used], g.flatten(1)[:, used])
            return found.view(len(g), *p.shape)
        if not e.requires_grad:
            return g.new_zeros(len(g), *p.shape)
        ask = dict(retain_graph=True, allow_unused=True)
        try:
            (found,) = torch.autograd.grad(e, p, g.to(e.dtype), is_grads_batched=True, **ask)
        except RuntimeError:  # an operation that vmap does not know
            each = [torch.autograd.grad(e, p, one, **ask)[0] for one in g.to(e.dtype)]
            found = None if each[0] is None else torch.stack(each)
        return g.new_zeros(len(g), *p.shape) if found is None else found.to(g.dtype)

    def places(self, name: str, e: Tensor) -> Tensor | None:
        """For each entry of e the entry of the parameter that it is, -1 for none; None if e is more than
        that.

        The derivative of e in the direction (0, 1, 2, ...) of the parameter's entries says it, if the one in
        the direction (1, 1, ...) is 0 or 1 everywhere and the values agree.
        """
        p = self.parameters[name]
        exact = p.dtype in (torch.float32, torch.float64) and p.numel() <= 2**24
        if not exact or not e.requires_grad:
            return None
        try:
            cotangent = torch.zeros_like(e, requires_grad=True)
            (back,) = torch.autograd.grad(e, p, cotangent, create_graph=True, allow_unused=True)
            if back is None or not back.requires_grad:
                return None

            def forward(direction: Tensor) -> Tensor:
                direction = direction.to(p.dtype).view_as(p)
                return torch.autograd.grad(back, cotangent, direction, retain_graph=True)[0].detach()

            ones, numbers = (forward(each(p.numel(), device=p.device)) for each in (torch.ones, torch.arange))
        except RuntimeError:  # cannot be differentiated twice
            return None
        used = ones == 1
        if not bool((used | (ones == 0)).all()):
            return None
        places = torch.where(used, numbers.round(), -1).long().flatten()
        same = bool((p.detach().flatten()[places.clamp(min=0)] == e.detach().flatten())[used.flatten()].all())
        return places if same else None
