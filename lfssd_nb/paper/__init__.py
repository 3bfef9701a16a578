"""The published study: its experiments as data, at several sizes, from nothing to tables."""

from . import plan, published, reproduce, sizes, throughput

__all__ = [
    "plan", "published", "reproduce", "sizes", "throughput",
]  # fmt: skip
