"""What every notebook does first: the look of its figures, and the threads it computes with."""

import sys

import torch

from ..figures import style
from ..system.device import page_threads


def begin(sharp: bool = True) -> None:
    """Call once in a page's setup cell. ``sharp``: figures of the same size, twice as many pixels each way,
    for screens that have them. Threads: see `device.page_threads`."""
    style.use_style()
    torch.set_num_threads(page_threads())
    ipython = sys.modules.get("IPython")
    if sharp and ipython and ipython.get_ipython():  # the next line would make a shell where there is none
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")
