"""Modules as people write them, one for each thing that an importance may get wrong: for
`test_any_module`."""

import torch
import torch.nn.functional as F
from torch import nn


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def words(*shape: int, high: int = 11, seed: int = 1) -> torch.Tensor:
    return torch.randint(1, high, shape, generator=generator(seed))


class Function(nn.Module):
    """Parts, and a function of them and the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def P(*shape: int, seed: int = 5) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=generator(seed)) * 0.5)


class Transposed(nn.Module):
    """Batch norm with a transposed output gradient: PyTorch has it wrong for a single row on a CPU."""

    def __init__(self):
        super().__init__()
        self.c, self.b = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.n, self.f = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        t = self.b(self.c(x)).flatten(2).transpose(1, 2)
        return self.f(torch.tanh(self.n(t)).mean(1))


class Cached(nn.Module):
    """Keeps a table made of its parameters, in eval mode, like timm's LeViT."""

    def __init__(self, as_attribute: bool = False):
        super().__init__()
        self.biases, self.head = P(2, 4), nn.Linear(6, 3)
        self.register_buffer("where", torch.tensor([[0, 1, 1], [3, 0, 2]]))
        self.as_attribute, self.cache, self.kept = as_attribute, {}, None

    def bias(self, device):
        if self.as_attribute:
            if self.kept is None:
                self.kept = self.biases[:, self.where]
            return self.kept
        if self.training:
            return self.biases[:, self.where]
        if str(device) not in self.cache:
            self.cache[str(device)] = self.biases[:, self.where]
        return self.cache[str(device)]

    def forward(self, x):
        return self.head(torch.tanh(x[:, None] * self.bias(x.device).sum(0)).flatten(1))


class Experts(nn.Module):
    """Each row goes to the expert that its first entry says."""

    def __init__(self):
        super().__init__()
        self.gate, self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        out = self.gate(x)
        for expert, rows in ((self.a, x[:, 0] > 0), (self.b, x[:, 0] <= 0)):
            out = out.index_add(0, rows.nonzero()[:, 0], torch.tanh(expert(x[rows])))
        return out


class Last(nn.Module):
    """A recurrent layer; logits of the mean of its steps and of its last state."""

    def __init__(self, layer):
        super().__init__()
        self.layer, directions = layer, 2 if layer.bidirectional else 1
        self.head = nn.Linear(4 * directions * (1 + layer.num_layers), 3)

    def forward(self, x):  # [N, steps, entries], whatever the layer takes
        first = self.layer.batch_first
        out, state = self.layer(x if first else x.transpose(0, 1))
        last = state[0] if isinstance(state, tuple) else state
        mean = out.mean(1 if first else 0)
        return self.head(torch.cat([mean, last.transpose(0, 1).flatten(1)], 1))


class Stubborn(nn.Module):
    """Keeps its batch norm in training mode, whatever `eval` says."""

    def __init__(self):
        super().__init__()
        self.f, self.b = nn.Linear(4, 3), nn.BatchNorm1d(3)

    def train(self, mode: bool = True):
        super().train(mode)
        self.b.train(True)
        return self

    def forward(self, x):
        return self.b(self.f(x))


class Frames(nn.Module):
    """Frames of a film, all through one convolution: samples and frames share a dimension."""

    def __init__(self):
        super().__init__()
        self.c, self.d, self.b = (
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.BatchNorm2d(8),
        )
        self.e, self.head = nn.Conv2d(8, 4, 3, stride=2), nn.Linear(4, 3)

    def forward(self, x):  # [N, frames, 8, 5, 5]
        z = torch.tanh(self.e(self.b(torch.tanh(self.d(torch.tanh(self.c(x.flatten(0, 1))))))))
        return self.head(z.mean((2, 3)).view(*x.shape[:2], 4).mean(1))


class Swinging(nn.Module):
    """Windows, a table of relative positions, ``F.linear`` with a module's weight: like torchvision's
    Swin."""

    def __init__(self):
        super().__init__()
        self.qkv, self.table, self.head = nn.Linear(6, 18), P(7, 2), nn.Linear(6, 3)
        self.register_buffer("where", torch.arange(4)[:, None] - torch.arange(4)[None] + 3)

    def forward(self, x):  # [N, 8, 6]: two windows of four
        n = len(x)
        q, k, v = (
            F.linear(x.view(2 * n, 4, 6), self.qkv.weight, self.qkv.bias)
            .view(2 * n, 4, 3, 2, 3)
            .permute(2, 0, 3, 1, 4)
        )
        bias = self.table[self.where.flatten()].view(4, 4, 2).permute(2, 0, 1)
        mixed = torch.softmax(q @ k.mT + bias, -1) @ v
        return self.head(mixed.transpose(1, 2).reshape(n, 8, 6).mean(1))


def convolutional(layer, size: tuple[int, ...], channels: int, head: int = 3) -> tuple[nn.Module, tuple]:
    flat = layer(torch.zeros(1, channels, *size)).flatten(1).shape[1]
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(flat, head)), (channels, *size)


def convolutions():
    """name: (module, shape of a sample)."""
    c = convolutional
    return {
        "conv1d, strided, dilated": c(nn.Conv1d(3, 4, 3, 2, 2, 2), (9,), 3),
        "conv1d, depthwise": c(nn.Conv1d(4, 4, 3, padding=1, groups=4), (7,), 4),
        "conv2d, same and even": c(nn.Conv2d(2, 3, (2, 4), padding="same", dilation=(1, 2)), (6, 7), 2),
        "conv2d, valid": c(nn.Conv2d(2, 3, 3, padding="valid", bias=False), (5, 5), 2),
        "conv2d, reflecting": c(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (5, 5), 2),
        "conv2d, depthwise": c(nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4), (8, 7), 4),
        "conv2d, depthwise times two, dilated": c(
            nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3), (6, 6), 3
        ),
        "conv2d, narrow groups": c(nn.Conv2d(6, 9, 3, padding=1, stride=(1, 2), groups=3), (5, 6), 6),
        "conv2d, wide groups": c(nn.Conv2d(16, 12, 3, padding=1, groups=2), (5, 5), 16),
        "conv2d, wide groups, 1x1": c(nn.Conv2d(16, 12, 1, stride=2, groups=2), (5, 5), 16),
        "conv2d, many channels, strided": c(
            nn.Conv2d(9, 5, (3, 2), stride=(2, 3), padding=1, dilation=(1, 2)), (7, 8), 9
        ),
        "conv2d, many channels": c(nn.Conv2d(8, 5, 3, padding=1), (4, 6), 8),
        "conv2d, one position": c(nn.Conv2d(8, 5, 3, padding=1), (1, 1), 8),
        "conv3d, many channels": c(nn.Conv3d(8, 3, 2, stride=(1, 2, 1), padding=1), (3, 4, 4), 8),
        "conv1d, many channels": c(nn.Conv1d(8, 3, 4, stride=3, padding=2, dilation=2), (11,), 8),
        "conv3d": c(nn.Conv3d(2, 3, 2, stride=(1, 2, 1), padding=1, dilation=(1, 1, 2)), (3, 4, 4), 2),
        "conv3d, depthwise": c(nn.Conv3d(3, 3, 3, padding=1, groups=3), (3, 4, 4), 3),
        "transposed 1d": c(nn.ConvTranspose1d(3, 2, 3, stride=2, padding=1, output_padding=1), (5,), 3),
        "transposed 2d, dilated": c(nn.ConvTranspose2d(3, 2, 3, stride=(2, 1), dilation=(1, 2)), (4, 3), 3),
        "transposed 2d, groups": c(nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), (3, 3), 4),
        "transposed 3d": c(nn.ConvTranspose3d(2, 2, 2, stride=2), (2, 3, 2), 2),
    }


def recurrent():
    """name: (layer, whether the state is a pair)."""
    return {
        "rnn tanh": nn.RNN(5, 4, batch_first=True), "rnn relu": nn.RNN(5, 4, nonlinearity="relu"),
        "gru, two layers both ways": nn.GRU(5, 4, 2, bidirectional=True, batch_first=True),
        "gru without biases": nn.GRU(5, 4, bias=False), "lstm": nn.LSTM(5, 4, batch_first=True),
        "lstm, two layers both ways": nn.LSTM(5, 4, 2, bidirectional=True, dropout=0.5),
    }  # fmt: skip
