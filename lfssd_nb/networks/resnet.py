"""CIFAR-style ResNet18: the network of the SSD and LFSSD papers, with a width knob.

The stem is a 3x3 convolution without max-pooling, so that 32x32 (or 8x8) images keep their
resolution for the first stage. Four stages of two basic blocks each have ``width``, ``2 width``,
``4 width`` and ``8 width`` channels; stages two to four halve the resolution.
``width=64``, three input channels and ten classes give the paper's 11,173,962 parameters.

Source: He et al. 2016 (1512.03385), in its common CIFAR variant.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import check_images, network


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, plus a shortcut (1x1 convolution where shapes change)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """Images ``[N, channels, H, W]`` to logits ``[N, n_classes]``."""

    def __init__(self, n_classes: int, channels: int = 3, width: int = 64):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self._stage(width, width, 1)
        self.layer2 = self._stage(width, 2 * width, 2)
        self.layer3 = self._stage(2 * width, 4 * width, 2)
        self.layer4 = self._stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(8 * width, n_classes)

    @staticmethod
    def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
        first = BasicBlock(channels_in, channels_out, stride)
        return nn.Sequential(first, BasicBlock(channels_out, channels_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


@network("resnet18", width=16)
def resnet18(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For images ``[N, C, H, W]``."""
    check_images(data, "resnet18")
    return ResNet18(len(data.classes), data.train_x.shape[1], width)
