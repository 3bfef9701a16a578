"""How many different tokens a network must know."""

import torch

from ..data.dataset import Dataset
from .architecture import suggested


def n_tokens(data: Dataset, network: str) -> int:
    """The size of the alphabet, or one more than the largest token of both sets.

    Raises ``ValueError`` for samples that are no rows of tokens.
    """
    if data.train_x.is_floating_point() or data.train_x.dim() != 2:
        kind = f"{data.train_x.dtype}{list(data.train_x.shape)}"
        raise ValueError(
            f"{network} takes tokens int64 [N, L]; the samples of {data.name!r} are {kind}: choose "
            f"{suggested(data).name} for them"
        )
    low, high = map(int, torch.cat([data.train_x, data.test_x]).aminmax())
    if low < 0:
        raise ValueError(f"tokens are 0 (filling up) and above; {data.name!r} has {low}")
    alphabet = getattr(data.show, "alphabet", None)
    if alphabet and high >= len(alphabet):
        raise ValueError(f"{data.name!r} has the token {high}, its alphabet only {len(alphabet)}")
    return len(alphabet) if alphabet else high + 1
