"""Where to compute: the fastest device that is there, and what number format helps on it."""

import torch


def best() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 matrix products while training on CUDA; a no-op on CPU and MPS, where they do not pay."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
