"""How one sample of a data set is shown to a person: as an image, a string, a curve, a row of bars.

Each way has ``draw(ax, sample)`` for a matplotlib ``Axes`` and a ``noun`` for what its samples are. The
explorer and the figures know no other property of a sample.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CURVES = ("black", "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")  # Okabe-Ito, but for its yellows


@dataclass(frozen=True, eq=False)
class Images:
    """Samples float ``[C, H, W]``; ``x * std + mean`` is in 0..1. ``mean``, ``std``: ``[1, C, 1, 1]``."""

    noun = "images"
    mean: Tensor
    std: Tensor

    def pictures(self, x: Tensor) -> Tensor:
        """Undoes the normalisation: values in 0..1, ``[N, H, W, C]`` on the CPU, for plotting."""
        return (x * self.std + self.mean).clamp(0, 1).permute(0, 2, 3, 1).cpu()

    def draw(self, ax, sample: Tensor) -> None:
        picture = self.pictures(sample[None])[0]
        grey = "gray_r" if picture.shape[-1] == 1 else None
        ax.imshow(picture.squeeze(-1).numpy(), cmap=grey, vmin=0, vmax=1)
        ax.set_axis_off()

    def to(self, device: torch.device) -> "Images":
        return Images(self.mean.to(device), self.std.to(device))


class Samples:
    """What is not an image: it holds no tensor that could lie on a device."""

    noun = "samples"

    def to(self, device: torch.device) -> "Samples":
        return self


@dataclass(frozen=True)
class Tokens(Samples):
    """Samples int64 ``[L]``: positions in ``alphabet``, whose entry 0 fills up short samples."""

    alphabet: tuple[str, ...] | None = None

    def read(self, sample: Tensor) -> str:
        """The sample as a string."""
        tokens = [k for k in sample.tolist() if k]
        return (
            " ".join(map(str, tokens)) if self.alphabet is None else "".join(self.alphabet[k] for k in tokens)
        )

    def draw(self, ax, sample: Tensor) -> None:
        text = self.read(sample)
        ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=max(4, min(9, 90 / max(1, len(text)))))
        ax.set_axis_off()


@dataclass(frozen=True)
class Curves(Samples):
    """Samples float ``[C, T]``: C curves of T points, ``rate`` of them a second."""

    axes: tuple[str, ...] | None = None
    rate: float | None = None

    def draw(self, ax, sample: Tensor) -> None:
        values = sample.float().cpu().numpy()
        for k, curve in enumerate(values):
            look = dict(color=CURVES[k % len(CURVES)], ls="-" if k < len(CURVES) else "--")
            ax.plot(np.arange(len(curve)) / (self.rate or 1), curve, lw=0.9, **look)
        ax.set_axis_off()


@dataclass(frozen=True)
class Rows(Samples):
    """Samples float ``[F]``, one number for each of ``columns``; or of any other shape, drawn flat."""

    columns: tuple[str, ...] | None = None

    def draw(self, ax, sample: Tensor) -> None:
        values = sample.float().flatten().cpu().numpy()
        ax.bar(range(len(values)), values, 0.8, color="0.4")
        ax.set_axis_off()


Show = Images | Tokens | Curves | Rows


def fitting(x: Tensor) -> Show:
    """The way that fits samples ``[N, ...]`` of which nothing else is known."""
    if not x.is_floating_point():
        return Tokens()
    if x.dim() == 4 and x.shape[1] in (1, 3):
        low = x.amin((0, 2, 3), keepdim=True)
        return Images(*_into_0_to_1(low, x.amax((0, 2, 3), keepdim=True) - low))
    return Curves() if x.dim() == 3 else Rows()


def _into_0_to_1(low: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    std = 1 / span.clamp(min=1e-12)
    return -low * std, std
