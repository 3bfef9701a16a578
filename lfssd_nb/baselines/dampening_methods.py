"""SSD and LFSSD as entries of the registry; the method itself is `lfssd_nb.unlearn`."""

from torch import nn

from .. import unlearn
from .registry import method
from .task import Task


def _options(task: Task, alpha, scale, lam: float, reduction: str, batch_size: int | None) -> dict:
    """``scale`` is the scale-free alpha' = alpha N_f / N; batch means take 64 at a time, as published."""
    if scale is not None:
        if alpha is not None:
            raise ValueError(f"give alpha or scale, not both (got alpha={alpha}, scale={scale})")
        alpha = scale * len(task.full_x) / len(task.forget_x)
    if batch_size is None and reduction == "batch":
        batch_size = 64
    return dict(alpha=alpha, lam=lam, reduction=reduction, batch_size=batch_size)


@method("SSD", ["full", "labels"], source="Foster et al. 2023 (2308.07707)")
def ssd(
    model: nn.Module,
    task: Task,
    *,
    alpha: float | None = None,
    scale: float | None = None,
    lam: float = 1.0,
    reduction: str = "sample",
    batch_size: int | None = None,
) -> nn.Module:
    """`unlearn.ssd`: dampen by the ratio of diagonal empirical Fishers."""
    forget, full = (task.forget_x, task.forget_y), (task.full_x, task.full_y)
    return unlearn.ssd(model, forget, full, **_options(task, alpha, scale, lam, reduction, batch_size)).model


@method("LFSSD", ["full"], source="Foster et al. 2024 (2402.19308)")
def lfssd(
    model: nn.Module,
    task: Task,
    *,
    alpha: float | None = None,
    scale: float | None = None,
    lam: float = 1.0,
    reduction: str = "sample",
    batch_size: int | None = None,
) -> nn.Module:
    """`unlearn.lfssd`: dampen by the ratio of sensitivities; no labels, no loss."""
    options = _options(task, alpha, scale, lam, reduction, batch_size)
    return unlearn.lfssd(model, task.forget_x, task.full_x, **options).model
