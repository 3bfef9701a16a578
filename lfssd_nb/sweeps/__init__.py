"""Any alpha and lambda for one forward pass: the dampened network again, grids, a search."""

from ..redampen import Dial
from .grids import correct, exam, fitting, front, grid
from .optuna_search import damage_and_rest, search

__all__ = [
    "Dial", "correct", "damage_and_rest", "exam", "fitting", "front", "grid", "search",
]  # fmt: skip
