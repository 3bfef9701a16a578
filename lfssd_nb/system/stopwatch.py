"""What work costs: seconds on any device, and samples that went forward."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def now(device: torch.device) -> float:
    """Seconds of a clock, read after all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def counting(kind: type[nn.Module]) -> Iterator[list[int]]:
    """Counts the samples that go forward through any network of type ``kind``, in ``[n]``."""
    seen = [0]

    def count(module: nn.Module, args: tuple) -> None:
        if type(module) is kind:
            seen[0] += len(args[0])

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield seen
    finally:
        handle.remove()
