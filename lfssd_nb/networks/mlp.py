"""A multilayer perceptron for rows of numbers (and anything else, flattened): two hidden layers."""

from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import network


class MLP(nn.Module):
    """Samples ``[N, ...]`` of F numbers to logits ``[N, n_classes]``."""

    def __init__(self, n_features: int, n_classes: int, width: int = 64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x.to(self.head.weight.dtype)))


@network("mlp", width=64)
def mlp(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For samples of any shape."""
    return MLP(data.train_x[0].numel(), len(data.classes), width)
