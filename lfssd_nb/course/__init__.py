"""What pages are made with: their first call, their claims, the checks of their exercises."""

from . import checks, claims, page

__all__ = [
    "checks", "claims", "page",
]  # fmt: skip
