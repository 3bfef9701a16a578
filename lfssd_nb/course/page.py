"""What every notebook does first: the look of its figures, and the threads it computes with."""

import torch

from ..figures import style
from ..system.device import page_threads


def begin() -> None:
    """Call once in a page's setup cell. Threads: see `device.page_threads`."""
    style.use_style()
    torch.set_num_threads(page_threads())
