"""RNN, LSTM and GRU: layers and single cells, written out in steps.

Every step is two matrices (see `linear`), the one of the inputs for all steps at once. So is, for the
gradients, the one of the states: they are computed first, and `_Steps` goes through them a second time in the
backward pass, so that of a step nothing but its state is held. Written out they are the same function as
PyTorch's, and need no cuDNN, whose backward pass refuses eval mode.
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


class _Steps(torch.autograd.Function):
    """Outputs ``[T, N, H]`` and the last state of one direction, which were computed already.

    ``x``, ``h`` ``[T, N, G]``: W_ih x + b_ih and W_hh h + b_hh of every step; ``w``, ``b``: W_hh and b_hh;
    then the parts of the first state, and those of all states, ``[T + 1, N, H]``.
    """

    @staticmethod
    def forward(ctx, kind: str, x: Tensor, h: Tensor, w: Tensor, b: Tensor | None, *begin_and_all: Tensor):
        states = begin_and_all[len(begin_and_all) // 2 :]
        ctx.kind = kind
        ctx.save_for_backward(x, w, b, *states)
        return states[0][1:].clone(), *(part[-1].clone() for part in states)

    @staticmethod
    def backward(ctx, g_out: Tensor, *g_state: Tensor):
        x, w, b, *states = ctx.saved_tensors
        g_x, g_state = torch.empty_like(x), list(g_state)
        g_h = torch.empty_like(x) if ctx.kind == "gru" else g_x  # elsewhere the two are added up
        for t in reversed(range(len(x))):
            g_state[0] = g_state[0] + g_out[t]
            given = [x[t], F.linear(states[0][t], w, b), *(part[t] for part in states)]
            given = [v.detach().requires_grad_() for v in given]
            with torch.enable_grad():
                new = _next(ctx.kind, *given)
            g_x[t], g_h[t], *g_state = torch.autograd.grad(new, given, g_state, materialize_grads=True)
            g_state[0] = g_state[0] + g_h[t] @ w
        return None, g_x, g_h, None, None, *g_state, *(None for _ in states)


def _next(kind: str, x: Tensor, h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
    """The next state, from W_ih x + b_ih and W_hh h + b_hh."""
    if kind == "lstm":
        return lstm_step(x + h, state)
    if kind == "gru":
        return (gru_step(x, h, *state),)
    return (torch.tanh(x + h) if kind == "tanh" else torch.relu(x + h),)


def _direction(kind: str, use, x: Tensor, state: tuple[Tensor, ...], w_ih, w_hh, b_ih=None, b_hh=None):
    """Outputs and last state from inputs ``[T, N, I]``."""
    x, w, b = F.linear(x, w_ih, b_ih), use.plain(w_hh), use.plain(b_hh)
    with torch.no_grad():
        states = [state]
        for step in x.unbind(0):
            states.append(_next(kind, step, F.linear(states[-1][0], w, b), *states[-1]))
        states = [torch.stack(parts) for parts in zip(*states, strict=True)]
    h = F.linear(use.watch.mark_sample(states[0][:-1]), w_hh, b_hh)
    out, *last = _Steps.apply(kind, x, h, w, b, *state, *states)
    return out, last


def _begun(use, state):
    """The state before the first step, with a row for every sample: zeros, or what depends on them."""
    if not isinstance(state, list | tuple):
        return _begun(use, (state,))
    zeros = [use.watch.mark_sample(torch.zeros_like(s)) for s in state]
    return [
        s + zero if use.own(s) else use.watch.mark_sample(s) for s, zero in zip(state, zeros, strict=True)
    ]


def _layers(
    kind: str, use, input, hx, weights, has_biases, layers, dropout, train, bidirectional, batch_first
):
    directions = 2 if bidirectional else 1
    start = _begun(use, hx)
    each = len(weights) // (layers * directions)
    projected = each == (5 if has_biases else 3)
    if (train and dropout) or projected or input.ndim != 3:
        return NotImplemented
    x, last = input.transpose(0, 1) if batch_first else input, []
    for layer in range(layers):
        outputs = []
        for k in range(layer * directions, (layer + 1) * directions):
            backwards, state = k % directions == 1, tuple(s[k] for s in start)
            out, end = _direction(
                kind, use, x.flip(0) if backwards else x, state, *weights[k * each :][:each]
            )
            outputs.append(out.flip(0) if backwards else out)
            last.append(end)
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
        new = _next(kind, F.linear(input, w_ih, b_ih), F.linear(hx[0], w_hh, b_hh), *hx)
        return new if kind == "lstm" else new[0]

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
