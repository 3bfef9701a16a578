"""RNN, LSTM and GRU: layers and single cells, written out in steps.

Every step is two matrices (see `linear`), one of them for all steps at once. Written out they are the same
function as PyTorch's, and need no cuDNN, whose backward pass refuses eval mode.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def lstm_step(gates: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, h: Tensor, state: Tensor) -> Tensor:
    (r, z, n), (r_h, z_h, n_h) = x.chunk(3, -1), h.chunk(3, -1)
    r, z = (r + r_h).sigmoid(), (z + z_h).sigmoid()
    n = (n + r * n_h).tanh()
    return n + z * (state - n)


def _step(kind: str, x: Tensor, h: Tensor, state):
    """The next state, from W_ih x + b_ih and W_hh h + b_hh."""
    if kind == "lstm":
        return lstm_step(x + h, state)
    if kind == "gru":
        return gru_step(x, h, state)
    return torch.tanh(x + h) if kind == "tanh" else torch.relu(x + h)


def _begun(use, state):
    """The state before the first step. Zeros have a row for every sample, too."""
    known = any(use.own(s) for s in (state if isinstance(state, list | tuple) else [state]))
    return state if known else use.watch.mark_sample(state)


def _layers(
    kind: str, use, input, hx, weights, has_biases, layers, dropout, train, bidirectional, batch_first
):
    lstm, directions = kind == "lstm", 2 if bidirectional else 1
    start = _begun(use, hx if lstm else (hx,))
    each = len(weights) // (layers * directions)
    projected = each == (5 if has_biases else 3)
    if (train and dropout) or projected or input.ndim != 3:
        return NotImplemented
    x, last = input.transpose(0, 1) if batch_first else input, []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            w_ih, w_hh, b_ih, b_hh = (*weights[k * each : (k + 1) * each], None, None)[:4]
            state = tuple(s[k] for s in start)
            state, steps = state if lstm else state[0], []
            for step in (reversed if direction else iter)(F.linear(x, w_ih, b_ih).unbind(0)):
                state = _step(kind, step, F.linear(state[0] if lstm else state, w_hh, b_hh), state)
                steps.append(state[0] if lstm else state)
            outputs.append(torch.stack(steps[::-1] if direction else steps))
            last.append(state if lstm else (state,))
        x = torch.cat(outputs, -1) if bidirectional else outputs[0]
    x = x.transpose(0, 1) if batch_first else x
    return x, *(torch.stack(s) for s in zip(*last, strict=True))


def layers_of(kind: str):
    def layers(use, func, input, hx, *rest):
        if (isinstance(hx, Tensor) and kind == "lstm") or not isinstance(rest[0], list | tuple):
            return NotImplemented  # a packed sequence: its rows belong to no sample in order
        return _layers(kind, use, input, hx, *rest)

    return layers


def cell_of(kind: str):
    def cell(use, func, input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        hx = _begun(use, hx)
        h = F.linear(hx[0] if kind == "lstm" else hx, w_hh, b_hh)
        return _step(kind, F.linear(input, w_ih, b_ih), h, hx)

    return cell


KINDS = {"lstm": torch.lstm, "gru": torch.gru, "tanh": torch.rnn_tanh, "relu": torch.rnn_relu}
CELLS = {
    "lstm": torch.lstm_cell,
    "gru": torch.gru_cell,
    "tanh": torch.rnn_tanh_cell,
    "relu": torch.rnn_relu_cell,
}
REWRITTEN = {func: layers_of(kind) for kind, func in KINDS.items()}
REWRITTEN |= {func: cell_of(kind) for kind, func in CELLS.items()}
