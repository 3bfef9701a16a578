r"""A convolutional network for time series: three blocks, then the mean over time and a linear head.

A block is a convolution over time, :math:`\sum_{c, s} w_{kcs}\, x_{c, t + s}` at channel k and time t, then
batch norm, ReLU and max-pooling, which halves the time steps. The mean over time makes the network accept
series of any length from 8 samples on.

Source: Wang, Yan and Oates 2016 (1611.06455), their fully convolutional network, with pooling.
"""

from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import network


def block(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    """Halves the time steps. The kernel's size is odd, so that padding keeps its middle on the sample."""
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(),
        nn.MaxPool1d(2),
    )


class Conv1dClassifier(nn.Module):
    """Series ``[N, channels, T]`` to logits ``[N, n_classes]``; ``width`` channels, then twice as many."""

    def __init__(self, n_classes: int, channels: int, width: int = 32):
        super().__init__()
        self.block1 = block(channels, width, 7)
        self.block2 = block(width, 2 * width, 5)
        self.block3 = block(2 * width, 2 * width, 3)
        self.head = nn.Linear(2 * width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block3(self.block2(self.block1(x))).mean(dim=2))


@network("conv1d", width=32)
def conv1d(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For series ``[N, channels, T]``."""
    if data.train_x.dim() != 3 or data.train_x.shape[2] < 8:
        shape = list(data.train_x.shape)
        raise ValueError(
            f"conv1d takes series [N, channels, T] of 8 steps or more; {data.name!r} has {shape}: "
            "choose mlp, which takes any shape"
        )
    return Conv1dClassifier(len(data.classes), data.train_x.shape[1], width)
