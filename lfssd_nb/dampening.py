r"""The dampening rule: which weights shrink, and by how much (SSD, 2308.07707; unchanged in LFSSD).

**Select** :math:`I_i(D_f) > \alpha I_i(D)`. **Dampen** the selected:
:math:`\theta_i \leftarrow \theta_i \cdot \min(\lambda I_i(D) / I_i(D_f), 1)`.

* A tie :math:`I_i(D_f) = \alpha I_i(D)` is not selected (the inequality is strict).
* :math:`I_i(D) = 0`: D says nothing about the parameter and the ratio is undefined. It is left
  alone and counted as ``unseen`` in the report. (The published code sets it to 0.) With per-sample
  importance and D_f inside D it happens only where both are 0.
* **The ceiling.** Per-sample importances are means of non-negative terms, so
  :math:`N I_i(D) \ge N_f I_i(D_f)`: no :math:`\alpha \ge N/N_f` selects anything (in exact
  arithmetic: exactly at the ceiling, float32 rounding decides the ties), and
  :math:`\alpha' = \alpha N_f / N \in (0, 1)` is a scale-free knob. A violation of that inequality
  proves that D_f is not inside D, and is refused.
* Only parameters change. Buffers, batch norm's running statistics among them, are copied as is.
* Weights of type bfloat16 or float16: importances, ratio and product are float32, and the new weight is
  rounded once.
"""

import math
from collections.abc import Callable
from numbers import Real

import pandas as pd
import torch
from torch import Tensor, nn

from .importance_sums import Importance, check_finite, check_same_parameters
from .parameters import Filter, chosen, copy_of
from .precision import at_least_float32, wide


def selected(forget: Tensor, full: Tensor, alpha: float) -> Tensor:
    r"""Mask of :math:`I(D_f) > \alpha I(D)`, without the parameters that D says nothing about."""
    return (forget > full * alpha) & (full > 0)


def factor(forget: Tensor, full: Tensor, alpha: float, lam: float) -> Tensor:
    r"""What each weight is multiplied by: :math:`\min(\lambda I(D) / I(D_f), 1)` if selected, else 1."""
    ratio = (full * lam / forget).clamp_(max=1.0)
    return torch.where(selected(forget, full, alpha), ratio, 1.0)


def largest_ratio(forget: Importance, full: Importance) -> float:
    r"""The largest :math:`I(D_f) / I(D)` of a weight with :math:`I(D) > 0`: from it on no alpha selects."""

    def largest(name: str) -> float:
        f = forget.of(name)
        d = full.of(name).to(f.device)
        return float((f / d.where(d > 0, math.inf)).max())

    return max(largest(name) for name in full.sums)


Rule = Callable[[Tensor, Tensor, float, float], Tensor]


def dampen(
    model: nn.Module,
    forget: Importance | dict[str, Tensor],
    full: Importance | dict[str, Tensor],
    alpha: float,
    lam: float = 1.0,
    parameters: Filter | None = None,
    rule: Rule = factor,
) -> tuple[nn.Module, pd.DataFrame]:
    r"""Returns a dampened copy of the model and a report; the model itself is not changed.

    forget, full: :math:`I(D_f)` and :math:`I(D)`, one tensor for each trainable parameter.
    parameters: the filter with which they were computed, if there was one (see `parameters.chosen`):
    then they must cover exactly these, and everything else stays bit for bit.
    alpha, lam: :math:`\alpha > 0` selects (higher: fewer weights), :math:`\lambda \ge 0` dampens
    (lower: harder; 0 prunes).
    rule: your own in place of `factor`: what every weight is multiplied by, from I(D_f), I(D) (one tensor of
    the parameter's shape each), alpha and lam. Selected is then what is not multiplied by 1.

    The report has one row per parameter tensor: ``parameter``, ``size``, ``selected`` (count),
    ``share`` (of the tensor, 0..1), ``mean_factor`` (over the selected; 1 if there are none) and
    ``unseen`` (entries with :math:`I(D_f) > I(D) = 0`, left alone).

    **Memory**: the new model, and some six tensors of the largest parameter's size; importances are used
    one parameter at a time, wherever they are. Everything is checked before the copy is made. There is no
    dampening in place: running out of memory in the middle would leave half a model.

    Raises ``ValueError`` for alpha <= 0, lam < 0, importances that are NaN, infinite, negative, of
    another model or of different kinds, for a D_f that cannot be inside D, and for a rule whose factors are
    not finite or not of the shape of the weights.
    """
    check_settings(alpha, lam)
    trainable = check_importances(model, forget, full, parameters)
    result, rows = copy_of(model), []
    with torch.no_grad():
        for name, p in result.named_parameters():
            if name not in trainable:
                continue
            f, d = (wide(_of(given, name).to(p.device)) for given in (forget, full))
            by = _checked(rule(f, d, alpha, lam), f, name)
            mask = selected(f, d, alpha) if rule is factor else by != 1
            p.copy_(wide(p) * by.to(at_least_float32(p.dtype)))
            count = int(mask.sum())
            mean = float(by[mask].double().mean()) if count else 1.0
            unseen = int(((d == 0) & (f > 0)).sum())
            rows.append((name, p.numel(), count, count / p.numel(), mean, unseen))
    columns = ["parameter", "size", "selected", "share", "mean_factor", "unseen"]
    return result, pd.DataFrame(rows, columns=columns)


def _checked(by: Tensor, like: Tensor, name: str) -> Tensor:
    if by.shape != like.shape or not torch.isfinite(by).all():
        raise ValueError(
            f"the rule gives factors {list(by.shape)} for {name!r} of shape {list(like.shape)}, or some "
            "that are not finite: return one finite number for each weight"
        )
    return by


def _of(given: Importance | dict[str, Tensor], name: str) -> Tensor:
    return given.of(name) if isinstance(given, Importance) else given[name]


def check_importances(
    model: nn.Module,
    forget: Importance | dict[str, Tensor],
    full: Importance | dict[str, Tensor],
    parameters: Filter | None = None,
) -> dict[str, nn.Parameter]:
    """The parameters that `dampen` may change, by name; raises what it raises about the importances."""
    trainable = chosen(model, parameters)
    half = any(p.dtype in (torch.bfloat16, torch.float16) for p in trainable.values())
    _check_pair(forget, full, *((0.1, 1e-2) if half else (1e-3, 1e-6)))
    for what, given in (("forget", forget), ("full", full)):
        sums = given.sums if isinstance(given, Importance) else given
        check_same_parameters(sums, trainable, f"the {what} importance")
        for name in sums:
            check_finite({name: _of(given, name)}, what)
        for name in sums:
            value = _of(given, name)
            if bool((value < 0).any()):
                lowest = f"the {what} importance of {name!r} is negative ({float(value.min()):g})"
                raise ValueError(f"{lowest}; an importance is a mean of squares or absolute values")
    return trainable


def check_settings(alpha: float | None, lam: float) -> None:
    """Raises ``ValueError`` unless alpha > 0 (None: a default is taken) and lam >= 0, both finite numbers."""
    for name, value in (("alpha", alpha), ("lam", lam)):
        if not (isinstance(value, Real) or (name == "alpha" and value is None)):
            raise ValueError(
                f"{name} must be a number, got {value!r}; of a tensor with one entry pass .item()"
            )
    if alpha is not None and not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be positive and finite, got {alpha}; try 0.4 * N / N_f")
    if not (lam >= 0 and math.isfinite(lam)):
        raise ValueError(f"lam (lambda) must be non-negative and finite, got {lam}; the papers use 1")


def _check_pair(forget, full, close: float, floor: float) -> None:
    if not (isinstance(forget, Importance) and isinstance(full, Importance)):
        return
    kinds = [(i.estimator, i.reduction) for i in (forget, full)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"importances of different kinds, {kinds[0]} and {kinds[1]}; re-compute one")
    if forget.samples > full.samples:
        raise ValueError(
            f"the forget set ({forget.samples} samples) is not inside D ({full.samples} samples): "
            "pass I(D_f) first and I(D), over the full training set, second"
        )
    check_same_parameters(forget.sums, full.sums, "the forget importance")
    if forget.reduction == "sample":
        for name, f in forget.sums.items():
            d = full.sums[name].to(f.device)
            if bool((f > d * (1 + close) + d.max() * floor).any()):
                raise ValueError(
                    f"the forget set is not inside D: at {name!r} its samples add up to more "
                    "importance than all of D. I(D) must be over the full training set, D_f included"
                )
