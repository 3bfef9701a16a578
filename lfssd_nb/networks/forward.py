"""One forward pass over any number of inputs, without gradients and in eval mode."""

import torch
from torch import Tensor, nn

from ..precision import evaluating


@torch.no_grad()
def logits(model: nn.Module, x: Tensor, batch_size: int = 128) -> Tensor:
    """Logits ``[N, n_classes]`` of inputs ``[N, ...]`` in eval mode, on the inputs' device."""
    with evaluating(model):
        return torch.cat([model(part) for part in x.split(batch_size)])
