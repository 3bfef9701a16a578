"""Random shifts, flips and rotations of a whole batch at once, on the batch's device."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """``shift``: pixels in each direction; ``flip``: left-right, half of the images;
    ``rotation``: degrees to either side."""

    shift: int = 0
    flip: bool = False
    rotation: float = 0.0


def augment(x: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """A randomly changed copy of ``x`` [N, C, H, W], every image differently; zero (the mean
    colour) fills in from outside.

    ``generator`` lives on the CPU, so that a seed means the same on every device.
    """
    if how == Augmentation():
        return x
    if x.dim() != 4:
        raise ValueError(
            f"{how} is for images [N, C, H, W], not for samples {list(x.shape[1:])}: leave it out"
        )
    n, _, height, width = x.shape
    if how.rotation:
        angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(how.rotation)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(n)
        turn = torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(n, 2, 3).to(x)
        x = F.grid_sample(x, F.affine_grid(turn, list(x.shape), False), align_corners=False)
    if how.shift or how.flip:
        shift = torch.randint(0, 2 * how.shift + 1, (n, 2), generator=generator).to(x.device)
        flip = torch.rand(n, generator=generator).to(x.device) < 0.5
        rows = torch.arange(height, device=x.device) + shift[:, :1]
        columns = torch.arange(width, device=x.device) + shift[:, 1:]
        if how.flip:
            columns = torch.where(flip[:, None], columns.flip(1), columns)
        padded = F.pad(x, [how.shift] * 4)
        sample = torch.arange(n, device=x.device)[:, None, None]
        # advanced indices around a slice put the channels last
        x = padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        # one channel passes for contiguous in either format: with these strides a convolution takes the other
        x = x.clone(memory_format=torch.contiguous_format)
    return x
