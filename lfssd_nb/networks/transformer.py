r"""A small transformer encoder on rows of tokens, and a linear head.

The embedded tokens get a learned vector added that says how many tokens are left, as the end of a word tells
more of its language than the start. Every block adds two things to its input (pre-norm):

.. math::

   x \leftarrow x + \mathrm{attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)).

Padding (token 0) is neither attended to nor part of the mean over tokens that the head sees, so that no
sample depends on another or on the row's length.

Source: Vaswani et al. 2017 (1706.03762); layer norm first: Xiong et al. 2020 (2002.04745).
"""

from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import network
from .tokens import n_tokens


class Block(nn.Module):
    """Attention and a two-layer perceptron, each added to its own input.

    Attention is asked for its weights: it then uses plain matrix products, which ``vmap(grad)`` can batch,
    and not a fused kernel, which it cannot.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, key_padding_mask=padding, need_weights=True)[0]
        return x + self.mlp(self.norm2(x))


class TokenTransformer(nn.Module):
    """Tokens ``[N, L]`` int64 to logits ``[N, n_classes]``. A row is 1 to ``length`` tokens, then zeros."""

    def __init__(
        self, n_classes: int, n_tokens: int, length: int, width: int = 64, layers: int = 2, heads: int = 4
    ):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width, padding_idx=0)
        self.positions = nn.Embedding(length + 1, width, padding_idx=0)
        for embedding in (self.embedding, self.positions):
            embedding.weight.data *= 0.1  # the blocks add to small numbers
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        real = tokens != 0
        left = real.flip(1).cumsum(1).flip(1) * real
        x = self.embedding(tokens) + self.positions(left)
        for block in self.blocks:
            x = block(x, ~real)
        mean = (self.norm(x) * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
        return self.head(mean)


@network("transformer", width=64)
def transformer(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For tokens ``[N, L]``; the width is a multiple of its four heads."""
    if width % 4:
        raise ValueError(f"a transformer has four heads: width must be a multiple of 4, got {width}")
    tokens = n_tokens(data, "transformer")
    if empty := sum(int((x == 0).all(1).sum()) for x in (data.train_x, data.test_x) if len(x) > 1):
        raise ValueError(
            f"{empty} samples of {data.name!r} hold no token but 0: a transformer has nothing to attend"
        )
    return TokenTransformer(len(data.classes), tokens, data.train_x.shape[1], width)
