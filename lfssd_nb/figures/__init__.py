"""Figures that several pages share, in one style."""

from . import portraits
from .drawing import method
from .style import LABELS, MARKERS, STYLES, headline, images, layer_shares, per_class, strips, use_style

__all__ = [
    "LABELS", "MARKERS", "STYLES", "headline", "images", "layer_shares", "method", "per_class", "portraits",
    "strips", "use_style",
]  # fmt: skip
