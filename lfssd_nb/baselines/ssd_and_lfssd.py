"""SSD and LFSSD as entries of the registry; the method itself is `lfssd_nb.unlearn`."""

from collections.abc import Callable

from torch import Tensor, nn

from .. import agreement, unlearn
from ..importance import fisher, sensitivity
from ..system.files import digest
from .registry import method
from .task import Task


def _dampened(
    rule: Callable, estimate: Callable, model: nn.Module, task: Task, forget: tuple[Tensor, ...],
    full: tuple[Tensor, ...], alpha, scale, lam: float, reduction: str, batch_size, forget_batch_size,
    order: str,
) -> nn.Module:  # fmt: skip
    """``scale`` is the scale-free alpha' = alpha N_f / N; alpha may be ``"agreement"``, and left out is the
    constant of `unlearn.default_alpha`. Batch means take 64 at a time, as published."""
    if order not in ("classes", "reference"):
        raise ValueError(f"unknown order {order!r} of D; choose 'classes' or 'reference'")
    alpha = unlearn.alpha_of(alpha, scale, len(full[0]), len(forget[0]))
    unlearn.check(rule.__name__, alpha, lam, reduction=reduction, batch_size=batch_size)
    if batch_size is None:
        batch_size = 64 if reduction == "batch" else 128
    how = dict(reduction=reduction, batch_size=batch_size)
    if order == "reference":  # another one for each forget set
        if task.reference is None:
            raise ValueError("order='reference' needs Task.reference: where D_r and then D_f are in full_x")
        full = [column[task.reference] for column in full]
        forget = [column[-len(task.forget_x) :] for column in full]
        how["order"] = digest({"reference": task.reference})
    size = batch_size if forget_batch_size is None else forget_batch_size
    i_f = estimate(model, *forget, reduction=reduction, batch_size=size)
    i_d = task.memory.importance(estimate, model, *full, **how)
    if alpha == agreement.NAME:
        alpha = agreement.chosen(model, i_f, i_d, forget[0], full[0], lam, batch_size=batch_size).alpha
    return rule(model, i_f, i_d, alpha, lam).model


@method("SSD", ["full", "labels"], source="Foster et al. 2023 (2308.07707)")
def ssd(
    model: nn.Module,
    task: Task,
    *,
    alpha: unlearn.Alpha = None,
    scale: float | None = None,
    lam: float = 1.0,
    reduction: str = "sample",
    batch_size: int | None = None,
    forget_batch_size: int | None = None,
    order: str = "classes",
) -> nn.Module:
    """`unlearn.ssd`: dampen by the ratio of diagonal empirical Fishers. Settings as in `lfssd`."""
    forget, full = (task.forget_x, task.forget_y), (task.full_x, task.full_y)
    how = alpha, scale, lam, reduction, batch_size, forget_batch_size, order
    return _dampened(unlearn.ssd, fisher, model, task, forget, full, *how)


@method("LFSSD", ["full"], source="Foster et al. 2024 (2402.19308)")
def lfssd(
    model: nn.Module,
    task: Task,
    *,
    alpha: unlearn.Alpha = None,
    scale: float | None = None,
    lam: float = 1.0,
    reduction: str = "sample",
    batch_size: int | None = None,
    forget_batch_size: int | None = None,
    order: str = "classes",
) -> nn.Module:
    """`unlearn.lfssd`: dampen by the ratio of sensitivities; no labels, no loss. ``alpha``: left out, the
    constant of `unlearn.default_alpha`; ``"agreement"`` chooses it. ``forget_batch_size``: of
    D_f alone, where it is another than D's. ``order``, which batch means depend on: ``"classes"``, or
    ``"reference"``, that of the published code, with D_f at the end of D (`orders.reference_order`). What is
    published: `paper.published.published_settings`."""
    how = alpha, scale, lam, reduction, batch_size, forget_batch_size, order
    return _dampened(unlearn.lfssd, sensitivity, model, task, (task.forget_x,), (task.full_x,), *how)
