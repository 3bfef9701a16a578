"""What the metrics may be given: logits of one model, labels beside them, rates."""

import math

from torch import Tensor


def check_labelled(z: Tensor, y: Tensor) -> None:
    """Raises ``ValueError`` unless z is logits ``[N, K]`` and y a tensor of N labels."""
    if not isinstance(z, Tensor) or not isinstance(y, Tensor) or z.ndim != 2 or y.shape != z.shape[:1]:
        given = [list(v.shape) if isinstance(v, Tensor) else type(v).__name__ for v in (z, y)]
        raise ValueError(
            f"logits {given[0]} and labels {given[1]}: give tensors [N, K] and [N], one label each"
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
