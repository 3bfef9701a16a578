"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from .audits import two_sided
from .hints import NotYet, expect
from .importances import sensitivity
from .method import networks, partial_batch, spread
from .metrics import margin, per_class, sibling_gap, tow
from .rule import dampened
from .sets import retain_index

__all__ = [
    "NotYet",
    "dampened",  # 03
    "expect",
    "margin",  # 10
    "networks",  # 09
    "partial_batch",  # 11
    "per_class",  # 04
    "retain_index",  # page 01
    "sensitivity",  # 02
    "sibling_gap",  # 05
    "spread",  # 06
    "tow",  # 07
    "two_sided",  # 08
]  # fmt: skip
