"""Where to compute: the fastest device that is there, and what number format helps on it."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

SMALL = 1024  # numbers a sample, below which more than one thread costs more than it helps


def best() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def autocast(device: torch.device, bfloat16: bool | None = None) -> torch.autocast:
    """bfloat16 matrix products; None: on CUDA alone. float32 elsewhere repeats on every CPU."""
    enabled = device.type == "cuda" if bfloat16 is None else bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 pays: where the device has instructions for it, and does not emulate them."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # an older torch lacks them
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def page_threads() -> int:
    """Threads of the notebooks, the scripts and the training on small samples: 1, or ``$LFSSD_THREADS``.

    Sums in another order round differently: with one number everywhere, two pages that name the same
    network mean the same file. Raises ``ValueError`` unless the variable is a positive integer.
    """
    wanted = os.environ.get("LFSSD_THREADS") or "1"
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"LFSSD_THREADS must be a positive integer, got {wanted!r}")
    return int(wanted)


def training_threads(x: Tensor) -> int:
    """Threads for training on samples ``[N, ...]``: `page_threads` for small ones, else torch's own."""
    return page_threads() if x[:1].numel() < SMALL else torch.get_num_threads()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many torch threads inside, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def name(device: torch.device) -> str:
    """The device in words, for records: "NVIDIA H200", "cpu (AMD EPYC 9R14)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):  # Linux says which CPU it is, platform.processor() does not
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        return f"{device.type} ({found[1].strip()})" if found and device.type == "cpu" else device.type
    return f"{device.type} ({platform.processor() or platform.machine()})"


def usable(device: str | torch.device) -> str | torch.device:
    """The device itself. Raises ``ValueError`` for one that is not there, or holds no numbers (meta)."""
    try:
        torch.ones(1, device=device).item()
    except Exception as error:  # torch has a dozen ways to say it, some over many lines
        why = str(error).split("\n")[0].rstrip(".")
        raise ValueError(f"device {str(device)!r} cannot be used here ({why}); try 'cpu'") from error
    return device


def memory(device: torch.device) -> float:
    """Bytes that the device has in all, of a CPU's machine; infinite where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return float("inf")
