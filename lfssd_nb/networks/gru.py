r"""A gated recurrent unit that reads a row of tokens from left to right, and a linear head.

With the embedded token :math:`e_t` and the state :math:`h_t` (zero before the first token)

.. math::

   r = \sigma(W_r e_t + U_r h_{t-1}), \quad z = \sigma(W_z e_t + U_z h_{t-1}), \quad
   n = \tanh(W_n e_t + r \odot U_n h_{t-1}), \quad h_t = (1 - z) \odot n + z \odot h_{t-1},

every product with a bias of its own. Padding (token 0, after the last real one) leaves the state as it is,
so that the head sees the state at the last real token and the row's length does not matter. The loop is
written out, unlike ``nn.GRU``, whose cuDNN kernels give no gradients in eval mode and no ``vmap``.

Source: Cho et al. 2014 (1406.1078), with the reset gate where cuDNN and ``nn.GRU`` have it.
"""

import torch
from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import network
from .tokens import n_tokens


class GRUClassifier(nn.Module):
    """Tokens ``[N, L]`` int64 (0 = padding, at the end) to logits ``[N, n_classes]``."""

    def __init__(self, n_classes: int, n_tokens: int, width: int = 64, embedding: int = 32):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, embedding, padding_idx=0)
        self.inputs = nn.Linear(embedding, 3 * width)  # W_r, W_z, W_n
        self.recurrent = nn.Linear(width, 3 * width)  # U_r, U_z, U_n
        self.head = nn.Linear(width, n_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        given = self.inputs(self.embedding(tokens))
        state = given.new_zeros(len(tokens), self.recurrent.in_features)
        for t in range(tokens.shape[1]):
            new = self.step(given[:, t], state)
            state = torch.where(tokens[:, t, None] != 0, new, state)
        return self.head(state)

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """The next state, from the input's share of the gates ``[N, 3 width]`` and the state."""
        w_r, w_z, w_n = given.chunk(3, dim=1)
        u_r, u_z, u_n = self.recurrent(state).chunk(3, dim=1)
        keep = torch.sigmoid(w_z + u_z)
        new = torch.tanh(w_n + torch.sigmoid(w_r + u_r) * u_n)
        return new + keep * (state - new)


@network("gru", width=64)
def gru(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For tokens ``[N, L]``."""
    return GRUClassifier(len(data.classes), n_tokens(data, "gru"), width)
