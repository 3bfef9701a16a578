"""Labels of classes: one index for each sample, and nothing that cross entropy would take for it."""

import torch
from torch import Tensor

from .batches import Batch
from .logits import Logits
from .per_sample.guard import Guard


@torch.no_grad()
def classes_of(logits: Logits, batch: Batch, guard: Guard) -> tuple[int, ...]:
    """The shape of one sample's logits."""
    return tuple(guard.around(lambda: logits(batch.rows([0, 0]).inputs)).shape[1:])


def labelled(batch: Batch, classes: tuple[int, ...] | None) -> Batch:
    """With class indices checked, where the estimator is about classes."""
    if classes is None:
        return batch
    return Batch(batch.inputs, (class_labels(batch.targets[0], len(batch), classes),))


def class_labels(y: Tensor, n: int, classes: tuple[int, ...]) -> Tensor:
    """Labels ``[N]`` of type int64 for logits ``[N, *classes]``. Raises ``ValueError`` for anything that
    cross entropy would take and mean something else by."""
    if len(classes) != 1:
        raise ValueError(f"labels of classes need logits [N, K]; the model gives {[n, *classes]}")
    (k,) = classes
    if k == 1:
        raise ValueError(
            "one logit a sample: its cross entropy is 0 whatever the label. Give two, forward=lambda m, x: "
            "torch.cat([-m(x), m(x)], 1) / 2, or a loss of your own to importance.estimate(score=...)"
        )
    if y.ndim == 2 and y.shape[1] == 1 and not y.is_floating_point():
        y = y[:, 0]
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or y.ndim != 1:
        raise ValueError(
            f"labels are class indices [N], got {str(y.dtype).removeprefix('torch.')} {list(y.shape)}: use "
            "y.argmax(1) for one-hot rows; for soft, multi-hot or real targets importance.estimate(score=...)"
        )
    y = y.long()
    outside = (y < 0) | (y >= k)
    if bool(outside.any()):
        raise ValueError(
            f"label {int(y[outside][0])} is not among the {k} classes of the logits, 0 to {k - 1}; leave "
            "samples without a label out"
        )
    return y
