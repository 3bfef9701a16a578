"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from .judge import expect
from .method import dampened, networks, partial_batch, sensitivity, spread
from .metrics import margin, per_class, sibling_gap, tow, two_sided
from .sets import retain_index

__all__ = [
    "dampened", "expect", "margin", "networks", "partial_batch", "per_class", "retain_index", "sensitivity",
    "sibling_gap", "spread", "tow", "two_sided",
]  # fmt: skip
