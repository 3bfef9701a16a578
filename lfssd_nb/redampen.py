r"""One model, two knobs: the dampened network at any (alpha, lambda), from importances computed once.

Neither importance depends on :math:`\alpha` or :math:`\lambda`. A `Dial` copies the model once, lays its
trainable weights :math:`\theta`, :math:`I(D_f)` and :math:`I(D)` out as three flat vectors, and re-dampens
with a few elementwise operations. The rule is that of `dampening`, by the same two functions, so that the
weights agree with those of `dampen` bit for bit. `Anew` does the same slowly, and asks less of the model.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import vmap

from .dampening import check_importances, check_settings, dampen, factor, largest_ratio, selected
from .importance_sums import Importance
from .parameters import call_with, copy_of
from .precision import wide

Alpha = float | dict[str, float]


class Dial:
    """``dial.at(alpha, lam)`` is the dampened model; the next call changes that same object again.

    ``alpha`` is one threshold for all, or a dict of one for each parameter tensor by name.

    forget, full: as in `dampening.dampen`, which also says what is refused; of all parameters or of some.
    only: names of those that may be dampened (default: all with an importance); the others keep theirs.

    Works on the device of the model and leaves the model given alone. Raises ``ValueError`` for a name in
    ``only`` that has no importance, and for parameters of several types or on several devices.
    """

    def __init__(
        self,
        model: nn.Module,
        forget: Importance | dict[str, Tensor],
        full: Importance | dict[str, Tensor],
        only: Iterable[str] | None = None,
    ):
        i_f, i_d = (i.mean if isinstance(i, Importance) else i for i in (forget, full))
        check_importances(model, forget, full, list(i_f))
        self.names = list(i_f) if only is None else list(only)
        for name in self.names:
            if name not in i_f:
                raise ValueError(f"there is no importance of {name!r}; choose from {', '.join(i_f)}")
        if not self.names:
            raise ValueError("only=[] leaves no parameter to dampen: name at least one, or pass None")
        self.model = copy_of(model).eval()
        mine = dict(self.model.named_parameters())
        self.theta = _flat([mine[name].detach() for name in self.names])
        self.forget, self.full = (
            _flat([values[name].to(self.theta.device) for name in self.names]) for values in (i_f, i_d)
        )
        self._chosen: dict[float | tuple, Tensor] = {}  # of the last alpha: a row of a grid shares it
        self.now = self.theta.clone()
        self.shapes = {name: mine[name].shape for name in self.names}
        for name, view in self.views(self.now).items():
            mine[name].data = view

    def chosen(self, alpha: Alpha) -> Tensor:
        """Positions of the selected weights in the flat vector. For single thresholds, sets of equal size are
        equal: a larger alpha only drops weights. Raises ``ValueError`` unless all names have a threshold."""
        key = alpha
        if isinstance(alpha, dict):
            key = tuple(alpha.items())
            if alpha.keys() != self.shapes.keys():
                odd = sorted(alpha.keys() ^ self.shapes.keys())
                raise ValueError(f"one alpha a parameter: {odd[0]!r} is missing, or is none of this dial's")
        if key not in self._chosen:
            for value in alpha.values() if isinstance(alpha, dict) else [alpha]:
                check_settings(value, 1.0)
            self._chosen = {key: selected(self.forget, self.full, self._each(alpha)).nonzero()[:, 0]}
        return self._chosen[key]

    def count(self, alpha: float) -> int:
        """How many weights are selected."""
        return len(self.chosen(alpha))

    @property
    def like(self) -> Tensor:
        """Of the type and on the device of the parameters."""
        return self.theta

    @property
    def largest(self) -> float:
        """The largest ratio I(D_f) / I(D), see `dampening.largest_ratio`."""
        return float((self.forget / self.full)[self.full > 0].max())

    def _each(self, alpha: Alpha) -> float | Tensor:
        if not isinstance(alpha, dict):
            return alpha
        parts = [torch.full((shape.numel(),), float(alpha[k])) for k, shape in self.shapes.items()]
        return torch.cat(parts).to(self.full)

    def weights(self, alpha: Alpha, lam: float = 1.0, out: Tensor | None = None) -> Tensor:
        """The dampened weights as a flat vector ``[P]`` in the order of ``names``: a new one, or ``out``."""
        check_settings(None, lam)
        at, each = self.chosen(alpha), self._each(alpha)
        each = each[at] if isinstance(each, Tensor) else each
        by = factor(self.forget[at], self.full[at], each, lam)
        out = self.theta.clone() if out is None else out.copy_(self.theta)
        return out.index_put_((at,), (wide(self.theta[at]) * by).to(out.dtype))

    def at(self, alpha: Alpha, lam: float = 1.0) -> nn.Module:
        """The model at these settings, in eval mode: the same object after every call."""
        self.weights(alpha, lam, out=self.now)
        return self.model

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """A flat vector ``[..., P]`` as tensors ``[..., *shape]`` by parameter name, sharing its memory."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()], -1)
        shapes = self.shapes.items()
        return {k: v.view(*flat.shape[:-1], *s) for (k, s), v in zip(shapes, parts, strict=True)}

    @torch.no_grad()
    def logits(self, x: Tensor, cells: Sequence[tuple[Alpha, float]], batch_size: int = 128) -> Tensor:
        """Logits ``[C, N, K]`` of several (alpha, lam) at once: one pass of networks stacked by ``vmap``.

        Holds C copies of the weights and of one batch's activations. Agrees with `at` up to the order of
        floating-point sums.
        """
        flat = self.theta.new_empty(len(cells), len(self.theta))
        for row, cell in zip(flat, cells, strict=True):
            self.weights(*cell, out=row)
        stacked = self.views(flat)

        def one(weights: dict[str, Tensor], part: Tensor) -> Tensor:
            return call_with(self.model, weights, part)

        many = vmap(one, (0, None))
        return torch.cat([many(stacked, part) for part in x.split(batch_size)], 1)


class Anew:
    """A `Dial` that lays out nothing and calls `dampen` for every setting, to the same bits: slower, for
    parameters of several types and on several devices, and importances wherever they are (``offload``).

    Every call of ``at`` makes another model, in the modes of the one given: drop one before the next.
    """

    def __init__(self, model: nn.Module, forget: Importance, full: Importance):
        check_importances(model, forget, full, list(forget.sums))
        self.given, self.forget, self.full = model, forget, full

    @property
    def like(self) -> Tensor:
        return dict(self.given.named_parameters())[next(iter(self.forget.sums))]

    @property
    def largest(self) -> float:
        return largest_ratio(self.forget, self.full)

    def count(self, alpha: float) -> int:
        pairs = ((self.forget.of(name), self.full.of(name)) for name in self.forget.sums)
        return sum(int(selected(f, d.to(f.device), alpha).sum()) for f, d in pairs)

    def at(self, alpha: float, lam: float = 1.0) -> nn.Module:
        return dampen(self.given, self.forget, self.full, alpha, lam, list(self.forget.sums))[0]


def _flat(tensors: list[Tensor]) -> Tensor:
    kinds = {(t.dtype, t.device) for t in tensors}
    if len(kinds) > 1:
        raise ValueError(
            f"parameters of several kinds, {sorted(map(str, kinds))}: sweep each kind alone (only=)"
        )
    return torch.cat([t.flatten() for t in tensors])
