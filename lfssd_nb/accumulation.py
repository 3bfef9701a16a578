"""From a model and data to an importance: batch by batch, whatever the estimator."""

from itertools import chain

import torch

from .batch_mean import BatchMean
from .batches import is_whole, read, split_data
from .importance_sums import Importance
from .labels import classes_of, labelled
from .logits import Logits
from .parameters import chosen, only
from .per_sample import PerSample
from .per_sample.guard import untouched
from .per_sample.trust import check_parameters, check_unchanged
from .precision import differentiating
from .system.progress import progress
from .without_rules import zeros


def check_options(reduction: str = "sample", batch_size: int | None = None) -> None:
    """Raises ``ValueError`` for an unknown reduction or an impossible batch size."""
    if reduction not in ("sample", "batch"):
        raise ValueError(f"unknown reduction {reduction!r}; choose 'sample' or 'batch'")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def accumulate(
    model, data, labels, estimator, scores, reduction, batch_size, method, parameters, offload, forward,
    keep_noise, show,
) -> Importance:  # fmt: skip
    """Sums and count of an importance; ``scores``: an entry of ``ESTIMATORS``."""
    check_options(reduction, batch_size)
    if reduction == "batch" and batch_size is None and is_whole(data):
        raise ValueError("reduction='batch' depends on the batch size: give batch_size (64 as published)")
    trainable = chosen(model, parameters)
    check_parameters(trainable)
    total_score, mean_score, kind, columns = scores
    count = samples = 0
    like = next(iter(trainable.values()))
    drawn = torch.random.fork_rng([like.device.index] if like.is_cuda else [])  # by a model that draws
    with drawn, only(model, parameters), differentiating(model), untouched(model) as guard:
        raw = progress(split_data(data, labels, batch_size, like), estimator, show)
        batches = (read(batch, columns, like, forward is not None) for batch in raw)
        first = next(batches, None)
        if first is None or not len(first):
            raise ValueError("there are no samples: an empty set has no importance; pass at least one")
        logits = Logits(model, forward)
        classes = classes_of(logits, first, guard) if estimator == "fisher" else None
        first = labelled(first, classes)
        if reduction == "sample":
            sums_of = PerSample(logits, total_score, first, method, guard)
        else:
            sums_of = BatchMean(logits, mean_score, trainable, guard)
        sums = {name: zeros(p, offload) for name, p in trainable.items()}
        versions = {name: p._version for name, p in model.named_parameters()}
        for batch in chain([first], batches):
            if len(batch):
                batch = batch if batch is first else labelled(batch, classes)
                sums_of.add(batch, kind, sums)
                count += len(batch) if reduction == "sample" else 1
                samples += len(batch)
        if reduction == "sample":
            check_unchanged(guard, versions)
        if reduction == "sample" and not keep_noise:
            sums_of.silence(kind, sums)
    return Importance(sums, count, samples, estimator, reduction)
