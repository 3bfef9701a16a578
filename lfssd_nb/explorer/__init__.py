"""Sliders for alpha and lambda over a picture of what they do."""

from .drawing import Board, picture
from .sliders import Explorer, explore
from .trial import Reading, Trial

__all__ = [
    "Board", "Explorer", "Reading", "Trial", "explore", "picture",
]  # fmt: skip
