"""What the metrics may be given: logits of one model, labels beside them, rates."""

import math

from torch import Tensor


def check_rows(z: Tensor, y: Tensor) -> None:
    """Raises ``ValueError`` unless there is one label ``[N]`` for each row of logits ``[N, K]``."""
    if z.ndim != 2 or y.ndim != 1 or len(z) != len(y) or y.is_floating_point():
        raise ValueError(
            f"logits of shape {list(z.shape)} and labels of shape {list(y.shape)}, {y.dtype}: give logits "
            "[N, K] and one class number for each row, [N]"
        )


def check_rate(name: str, value: float) -> None:
    """Raises ``ValueError`` unless it is from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a rate from 0 to 1, got {value}; {name}=0.01 is one percent")


def check_from_0(name: str, value: float) -> None:
    """Raises ``ValueError`` unless it is 0 or more, and finite."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be 0 or more and finite, got {value}")


def check_whole(name: str, value: int, low: int = 0) -> None:
    """Raises ``ValueError`` unless it is a whole number from ``low`` up."""
    if isinstance(value, bool) or not math.isfinite(value) or value != int(value) or value < low:
        raise ValueError(f"{name} must be a whole number from {low} up, got {value}")
