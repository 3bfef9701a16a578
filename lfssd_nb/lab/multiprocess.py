r"""Importances over several processes: every rank takes a share of the samples, and the sums add up.

>>> with process_group() as rank:                       # torchrun --nproc_per_node=2 script.py
...     i_d = spread(sensitivity, model, x)             # of all of x, on every rank
...     forgotten = unlearn.lfssd(model, spread(sensitivity, model, x[forget]), i_d)

(Importances are given, so that an alpha that is left out is the constant of `unlearn.default_alpha`.)

Sums, counts and samples of disjoint shares add up (`Importance.__add__`), so that every rank ends with
the importance of the whole set. Per-sample importance is split by samples; batch-mean importance by whole
batches, so that the published batches stay as they are. Only the order in which float32 sums are added
differs from one process: 1e-6 of a tensor's largest entry.

**Failures.** An exception inside `spread`, `together` or `first_on_rank_0` is raised on *every* rank: its
own on the rank where it happened, `RankFailed` with its text on the others. One that leaves the ``with``
block should end the process, as it does if nobody catches it: torchrun then ends the others. A rank that
never comes (it caught its own exception elsewhere, or hangs) is given up after ``timeout``.

**Security.** The ranks exchange pickles over ports without a password (MASTER_PORT and those of gloo and
nccl): whoever reaches them can run code in the processes. A private network or a firewall, see SECURITY.md.

Without torchrun everything here is an ordinary call in one process. Tested with gloo on CPUs; the nccl
path is written after its documentation and has not been run.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..importance import check_options, empty, fisher
from ..importance_sums import Importance, check_finite

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)
LONG = timedelta(days=7)  # while rank 0 trains


class RankFailed(RuntimeError):
    """Another rank has failed, and the message is its error; or it does not answer."""


@contextmanager
def process_group(timeout: timedelta = TIMEOUT) -> Iterator[int]:
    """Joins the processes that torchrun started and yields this one's rank; 0 without torchrun.

    CPU tensors go over gloo, CUDA tensors over nccl, where each process of a machine has a GPU of its own
    (made current here), else over gloo as well. timeout: how long a rank waits for the others in one
    exchange; longer than one rank may lag behind another.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield 0
        return
    local, here = (int(os.environ.get(k, 1)) for k in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    own_gpu = torch.cuda.is_available() and torch.cuda.device_count() >= here
    if own_gpu:
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if own_gpu else "gloo", timeout=timeout)
    yield dist.get_rank()
    dist.destroy_process_group()  # not after an error, or the others might fail before its text is out


def ranks() -> tuple[int, int]:
    """This process's rank and how many there are; (0, 1) outside `process_group`."""
    return (dist.get_rank(), dist.get_world_size()) if _grouped() else (0, 1)


def shard(n: int, batch_size: int | None = None) -> slice:
    """This rank's share of ``n`` samples in order; with ``batch_size`` of whole batches of them.

    The shares of all ranks are disjoint, cover everything and differ by one sample (or batch) at most;
    with fewer samples (or batches) than ranks some are empty.
    """
    rank, size = ranks()
    unit = batch_size or 1
    units = -(-n // unit)
    start, stop = (units * r // size * unit for r in (rank, rank + 1))
    return slice(start, min(stop, n))


def together(work: Callable[[], T], group=None) -> T:
    """``work()`` on every rank at the same time; if it fails on one it fails on all (see the module)."""
    if not _grouped():
        return work()
    result = failure = None
    try:
        result = work()
    except Exception as error:
        failure = error
    texts = _exchanged(failure and f"{type(failure).__name__}: {failure}", group)
    if failure:
        raise failure
    for rank, text in enumerate(texts):
        if text:
            raise RankFailed(f"rank {rank} failed: {text}")
    return result


def first_on_rank_0(work: Callable[[], T]) -> T:
    """``work()`` on rank 0 while the others wait, however long; then on them, who find its files (the
    downloaded data, the trained model) in the cache."""
    if not _grouped():
        return work()
    leads = dist.get_rank() == 0
    patient = dist.new_group(backend="gloo", timeout=LONG)
    try:
        result = together(work if leads else lambda: None, patient)
        return together((lambda: result) if leads else work, patient)
    finally:
        dist.destroy_process_group(patient)


def same_model(model: nn.Module) -> nn.Module:
    """Overwrites parameters and buffers with those of rank 0, in place; returns the model."""
    if _grouped():
        for value in model.state_dict().values():  # detached, and sharing the model's memory
            sent = _sendable(value)
            dist.broadcast(sent, 0)
            value.copy_(sent)
    return model


def spread(estimate: Callable[..., Importance], model: nn.Module, *columns: Tensor, **options) -> Importance:
    """``estimate(model, *columns, **options)``, computed by all ranks together.

    estimate: ``importance.sensitivity`` or ``importance.fisher``. columns: the inputs, and for fisher the
    labels; whole on every rank, which takes its `shard`. The model must be the same everywhere.
    Everything else as in ``estimate``, whose errors are raised on every rank.

    Raises ``ValueError`` for a loader: let each rank estimate its own batches (`importance.empty` stands
    for none) and pass the result to `all_reduced`. Raises ``ValueError``, on every rank, if they have
    different numbers of samples or different weights.
    """
    if not all(isinstance(column, Tensor) for column in columns):
        raise ValueError("spread takes tensors: estimate your share of a loader, then call all_reduced")
    if not _grouped():
        return estimate(model, *columns, **options)
    n, reduction, batch_size = len(columns[0]), options.get("reduction", "sample"), options.get("batch_size")

    def mine() -> Importance:
        check_options(reduction, batch_size)
        possible = n and all(len(column) == n for column in columns) and (batch_size or reduction != "batch")
        share = shard(n, batch_size if reduction == "batch" else None)
        if not possible:  # let the estimate say what is wrong
            share = slice(None)
        elif share.start == share.stop:
            kind = "fisher" if estimate is fisher else "sensitivity"
            kind = kind if options.get("squared", True) else "norm sensitivity"
            return empty(model, kind, reduction, options.get("parameters"), options.get("offload"))
        return estimate(model, *(column[share] for column in columns), **options)

    norms = (torch.linalg.vector_norm(p.detach(), dtype=torch.float64) for p in model.parameters())
    everyone = _exchanged((n, sum(map(float, norms))))
    for rank, (count, weight) in enumerate(everyone):
        if count != everyone[0][0] or abs(weight - everyone[0][1]) > 1e-9 * everyone[0][1]:
            raise ValueError(
                f"rank {rank} has {count} samples and weights of norm {weight:.9g}, rank 0 {everyone[0][0]} "
                f"and {everyone[0][1]:.9g}: give all ranks the same data and model (see same_model)"
            )
    return all_reduced(together(mine))


def all_reduced(importance: Importance) -> Importance:
    """The sum of all ranks' importances, on every rank; a new one, on the device of the given one.

    Raises ``ValueError``, on every rank, if they are not of one kind and of the same parameters, or if a
    sum overflows.
    """
    if not _grouped():
        return importance
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in importance.sums.items()}
    mine = (importance.estimator, importance.reduction, shapes)
    everyone = _exchanged((mine, importance.count, importance.samples))
    for rank, (other, _, _) in enumerate(everyone):
        if other != everyone[0][0]:
            raise ValueError(
                f"rank {rank} has the {other[0]} per {other[1]} of {len(other[2])} parameters, rank 0 the "
                f"{everyone[0][0][0]} per {everyone[0][0][1]} of {len(everyone[0][0][2])}: estimate the same "
                "on every rank, with the same model and parameters="
            )
    sums = dict(importance.sums)
    for name in sorted(sums):  # one that was loaded from a file has its names in another order
        total = _sendable(sums[name])
        dist.all_reduce(total)
        sums[name] = total.to(sums[name].device)
    check_finite(sums, importance.estimator)
    count, samples = (sum(each[k] for each in everyone) for k in (1, 2))
    return replace(importance, sums=sums, count=count, samples=samples)


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()


def _exchanged(value, group=None) -> list:
    """Every rank's value, by rank."""
    values: list = [None] * dist.get_world_size(group)
    try:
        dist.all_gather_object(values, value, group=group)
    except RuntimeError as error:
        raise RankFailed(
            f"no answer from the other ranks ({str(error).splitlines()[0]}): one has failed, see its own "
            "error, or is late by more than the timeout of process_group"
        ) from error
    return values


def _sendable(value: Tensor) -> Tensor:
    """A contiguous copy, on a device that gloo or nccl can read (not Apple's)."""
    value = value.clone(memory_format=torch.contiguous_format)
    return value if value.device.type in ("cpu", "cuda") else value.cpu()
