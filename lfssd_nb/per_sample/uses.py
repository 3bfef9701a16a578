r"""Every use of a parameter in a forward pass, and the gradient of each sample in it.

A parameter may be used by a layer, by a function in the model's own ``forward``, by several, or after
something was made of it alone (a slice, a transpose, :math:`g v / \|v\|`, a table looked up at fixed places).
`Watch` sees every call of a PyTorch function and knows of its arguments: *samples* (they depend on the
inputs), *expressions* (of parameters and of nothing else), or neither. Where the two meet is a use. The rule
of that function says what the gradient of the expression is for each sample; what is left, from the
expression to the parameter, is the same for all samples.
"""

from collections import Counter, defaultdict
from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..layer_rules import LIKE, REWRITTEN, RULES, Reduction
from ..layer_rules.reduction import Gradient, joined
from .calls import body_of, replaced, tensors_in
from .one_use import Key, Layout, Use
from .pullback import Pullback
from .rows import LEAVE, scattered


class HiddenUse(RuntimeError):
    """A parameter has a gradient from a use that no PyTorch call shows (scripted code, a custom Function)."""

    def __init__(self, name: str):
        super().__init__(f"{name!r} is used where it cannot be seen; use method='vmap' or 'loop'")
        self.name = name


class Watch(TorchFunctionMode):
    """Sees the uses of ``parameters`` (by name) while it is active.

    ``layouts``: what is known about each use, by its key; None: nothing yet, shapes are ``recorded``.
    ``take(name, gradient sum, terms or None, first element or None)`` receives the sums.
    """

    def __init__(
        self, parameters: dict[str, Tensor], n: int, layouts: dict[Key, Layout] | None = None,
        reduce: Reduction | None = None, take: Callable | None = None, pullback: Pullback | None = None,
    ):  # fmt: skip
        super().__init__()
        self.parameters, self.n, self.reduce, self.take = parameters, n, reduce, take
        self.names = {id(p): frozenset([name]) for name, p in parameters.items()}
        self.planned, self.layouts = layouts is not None, layouts or {}
        self.pullback = pullback or Pullback(parameters)
        self.recorded: dict[Key, list[tuple[int, ...]]] = defaultdict(list)
        self.unknown: dict[str, str] = {}  # name: why no rule knows it
        self.uses: Counter = Counter()
        self.claims: dict[str, list[Tensor]] = defaultdict(list)
        self.waiting: dict[str, list[tuple[Tensor, Gradient]]] = defaultdict(list)
        self.anchors: list[Tensor] = []
        self.left = False  # whether values of samples have left PyTorch and may come back as anything
        self.token = object()

    # ---- what a tensor is

    def sampled(self, t) -> bool:
        if not isinstance(t, Tensor):
            return False
        if getattr(t, "_lfssd_sample", None) is self.token:
            return True
        # made by something that hides its calls: from samples, as far as anyone can tell
        return t.requires_grad and t.grad_fn is not None and not self.names_of(t)

    def names_of(self, t) -> frozenset[str]:
        if not isinstance(t, Tensor) or not t.requires_grad:
            return frozenset()
        known = self.names.get(id(t))
        if known is None:
            token, known = getattr(t, "_lfssd_of", (None, frozenset()))
            return known if token is self.token else frozenset()
        return known

    def mark_sample(self, out, scattered: bool = False):
        for t in tensors_in([out]):
            if not isinstance(t, torch.nn.Parameter):
                t._lfssd_sample = self.token
                t._lfssd_scattered = self.token if scattered else None
        return out

    def mark_expression(self, out, names: frozenset[str]):
        for t in tensors_in([out]):
            if t.requires_grad and id(t) not in self.names:
                t._lfssd_of = (self.token, names)
        return out

    @property
    def listening(self) -> bool:
        return self.take is not None

    # ---- the calls

    def __torch_function__(self, func, types_, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func in LIKE and not self.sampled(args[0]):  # of others it takes a shape, a type or a device
            return self.mark_expression(func(*args, **kwargs), self.names_of(args[0]))
        tensors = list(tensors_in((*args, *kwargs.values())))
        own = [t for t in tensors if self.names_of(t)]
        sampled = any(self.sampled(t) for t in tensors)
        if not own:
            if sampled and name in LEAVE:
                self.left = True
            out = func(*args, **kwargs)
            if not sampled:
                return out
            moved = scattered(self, func, args, tensors)
            if name == "__setitem__":
                self.mark_sample(args[0], moved)
            return self.mark_sample(out, moved)
        names = frozenset().union(*(self.names_of(t) for t in own))
        if not sampled:
            return self.mark_expression(func(*args, **kwargs), names)
        if not torch.is_grad_enabled() or name == "__get__":
            return self.mark_sample(func(*args, **kwargs))
        return self._use(func, args, kwargs, tensors, own, names)

    def _use(self, func, args, kwargs, tensors, own, names):
        key = (*sorted(names), getattr(func, "__name__", str(func)))
        use = Use(self, key)
        moved = scattered(self, func, args, tensors)
        for way in (REWRITTEN.get(func), body_of(func) if func not in RULES else None):
            if way is not None:
                first = (use, func) if func in REWRITTEN and way is REWRITTEN[func] else ()
                with self:
                    out = way(*first, *args, **kwargs)
                if out is not NotImplemented:
                    return self.mark_sample(out)
        out = NotImplemented
        into = key[-1].endswith("_") and bool(self.names_of(args[0]))  # a parameter is overwritten
        if func in RULES and not into and not moved and (not self.planned or key in self.layouts):
            try:
                out = RULES[func](use, func, *args, **kwargs)
            except TypeError:  # other arguments than the rule knows
                out = NotImplemented
        if out is NotImplemented:
            if self.planned:
                raise RuntimeError(self.unlike(key, "is used in another way"))
            for name in names:
                why = f"{key[-1]} sees rows that the data choose" if moved else f"no rule for {key[-1]} here"
                self.unknown.setdefault(name, why)
            args, kwargs = replaced((args, kwargs), use.plain)
            return self.mark_sample(func(*args, **kwargs), moved)
        self.uses[key] += 1
        for e in own:
            for name in self.names_of(e):
                self.claims[name].append(e)
        return self.mark_sample(out)

    def unlike(self, key: Key, what: str) -> str:
        names = ", ".join(repr(name) for name in key[:-1])
        return f"{names} in {key[-1]} {what}, unlike on the first samples; use method='vmap' or 'loop'"

    def record(self, key: Key, shape) -> None:
        self.recorded[key].append(tuple(shape))

    # ---- the gradients

    def backward(self, total: Tensor) -> None:
        """Differentiates ``total``; every gradient goes to ``take`` as soon as it is complete."""
        self.alone = {name: self.pullback.apart(name, es) for name, es in self.claims.items()}
        held = {name: p.grad for name, p in self.parameters.items()}
        try:
            for p in self.parameters.values():
                p.grad = None
            if total.requires_grad:
                torch.autograd.backward(total, inputs=[*self.anchors, *self.parameters.values()])
            # every use that is seen is cut off from its parameter: a gradient that arrives came another way
            for name, p in self.parameters.items():
                if p.grad is not None:
                    raise HiddenUse(name)
        finally:
            for name, p in self.parameters.items():
                p.grad = held[name]
        for anchor in self.anchors:
            anchor.grad = None
        for name in list(self.waiting):
            self._complete(name)

    def arrived(self, e: Tensor, gradient: Gradient) -> None:
        for name in self.names_of(e):
            if self.alone[name]:
                self.pullback.reduce(name, e, gradient, self.reduce, self.take)
            else:
                self.waiting[name].append((e, gradient))
                if len(self.waiting[name]) == len(self.claims[name]):
                    self._complete(name)

    def _complete(self, name: str) -> None:
        parts = self.waiting.pop(name)
        together = joined([g for _, g in parts]) if all(e is parts[0][0] for e, _ in parts) else None
        if together is not None:
            self.pullback.reduce(name, parts[0][0], together, self.reduce, self.take)
            return
        chunk = max(1, self.reduce.budget // self.parameters[name].numel())
        for first in range(0, self.n, chunk):
            rows = slice(first, first + chunk)
            g = sum(self.pullback.of(name, e, gradient.of(rows)) for e, gradient in parts)
            self.take(name, self.reduce.samples(g), None, None)
