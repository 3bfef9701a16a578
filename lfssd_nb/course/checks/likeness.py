"""Exercises of page 01 on gold models: what they have in common with the original, and with each other."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .judge import judge, numbers


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(-1) / torch.tensor(2.0).log().double()


def _spread(p: Tensor) -> Tensor:
    return _entropy(p.mean(0)) - _entropy(p).mean(0)


def _pairs(p: Tensor) -> Tensor:
    pairs = torch.combinations(torch.arange(len(p)))
    return torch.stack([_spread(p[pair]) for pair in pairs]).mean(0)


def gold_spread(answer: Callable[[Tensor], Tensor]) -> None:
    """Exercise 01: ``answer(p)`` returns the Jensen-Shannon divergence (bits) of M models at each image, from
    their probabilities ``[M, N, K]``."""
    certain = torch.eye(3, dtype=torch.float64)[torch.tensor([[0, 1, 2, 0], [0, 2, 2, 1], [0, 0, 1, 1]])]
    cases = {
        "two models": (numbers(2, 5, 4).softmax(-1),),
        "three models": ((2 * numbers(3, 6, 4, seed=1)).softmax(-1),),
        "three certain models: probabilities of 0 and 1": (certain,),
        "the same model twice": (numbers(1, 5, 3, seed=2).softmax(-1).repeat(2, 1, 1),),
        "four models, four images, four classes": (numbers(4, 4, 4, seed=3).softmax(-1),),
    }
    log2 = torch.tensor(2.0).log().double()
    slips = {
        "0 log 0 counts as 0: torch.xlogy(p, p), or p.clamp(min=...) in the logarithm": lambda p: (
            -(p.mean(0) * p.mean(0).log2()).sum(-1) + (p * p.log2()).sum(-1).mean(0)),
        "in bits: divide nats by ln 2": lambda p: _spread(p) * log2,
        "subtract the models' own entropies from that of their mixture": lambda p: _entropy(p.mean(0)),
        "the entropy of the mixture is missing": lambda p: _entropy(p).mean(0),
        "the mixture's entropy comes first: the divergence is never negative": lambda p: -_spread(p),
        "one number for each image [N]": lambda p: _spread(p).mean(),
        "mix the models, dimension 0, not the images": lambda p: _entropy(p.mean(1)) - _entropy(p).mean(1),
        "the mean of the M entropies, not half of their sum": lambda p: (
            _entropy(p.mean(0)) - _entropy(p).sum(0) / 2),
        "the mean of the M entropies, not their sum": lambda p: _entropy(p.mean(0)) - _entropy(p).sum(0),
        "one mixture of all M models, not pair by pair": _pairs,
        "all M models, not the first two": lambda p: _spread(p[:2]),
        "in bits, whatever the number of classes": lambda p: (
            _spread(p) / torch.tensor(float(p.shape[-1])).log2()),
    }  # fmt: skip
    judge(answer, _spread, cases, slips)
    print("gold_spread: right")


def _shared(a: nn.Module, b: nn.Module) -> dict[str, float]:
    others = dict(b.named_parameters())
    return {name: 100 * float((p == others[name]).double().mean()) for name, p in a.named_parameters()}


def _networks() -> tuple[nn.Module, nn.Module]:
    """Two that share the first layer, a part of the second, nearly the third, whose biases are swapped."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = [
            nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 4), nn.Linear(4, 2)) for _ in "ab"
        ]
    a, b = (network.double() for network in made)
    b[0].load_state_dict(a[0].state_dict())
    b[2].weight.data[:3] = a[2].weight.data[:3]
    b[3].weight.data = a[3].weight.data * (1 + 1e-9)
    b[3].bias.data = a[3].bias.data.flip(0)
    return a, b


def shared(answer: Callable[[nn.Module, nn.Module], dict[str, float]]) -> None:
    """Exercise 01: ``answer(a, b)`` returns for each parameter by name how many percent of its entries two
    networks have in common, bit for bit."""
    a, b = _networks()
    cases = {"a layer shared, one in part": (a, b), "a network and itself": (a, a), "one layer": (a[2], b[2])}

    def total(a: nn.Module, b: nn.Module) -> float:
        equal = [p == q for p, q in zip(a.parameters(), b.parameters(), strict=True)]
        return 100 * float(torch.cat([e.flatten() for e in equal]).double().mean())

    def with_buffers(a: nn.Module, b: nn.Module) -> dict[str, float]:
        others = b.state_dict()
        return {k: 100 * float((v == others[k]).double().mean()) for k, v in a.state_dict().items()}

    def close(a: nn.Module, b: nn.Module) -> dict[str, float]:
        pairs = zip(a.named_parameters(), b.parameters(), strict=True)
        return {k: 100 * float(torch.isclose(p, q).double().mean()) for (k, p), q in pairs}

    def each(of: Callable[[float], float]) -> Callable:
        return lambda a, b: {name: of(share) for name, share in _shared(a, b).items()}

    def number(a: nn.Module, b: nn.Module) -> dict[str, float]:
        return {k: _shared(a, b)[k] / 100 * p.numel() for k, p in a.named_parameters()}

    slips = {
        "bit for bit: == and not isclose, a trained weight may return nearly": close,
        "in percent, 0 to 100": each(lambda share: share / 100),
        "entry by entry, each with the one in its place": lambda a, b: {
            k: 100 * float(torch.isin(p, q).double().mean())
            for (k, p), q in zip(a.named_parameters(), b.parameters(), strict=True)},
        "the share that is equal, not the one that differs": each(lambda share: 100 - share),
        "entry by entry: a tensor may be shared in part": each(lambda share: float(share == 100) * 100),
        "entry by entry, in percent: a tensor may be shared in part": each(lambda share: float(share == 100)),
        "a share of the parameter's entries, not their number": number,
        "parameters alone: buffers like running_mean are not trained": with_buffers,
        "biases, too: every parameter has an entry": lambda a, b: {
            k: v for k, v in _shared(a, b).items() if k.endswith("weight")},
        "one number for each parameter, by name, not one for all": total,
    }  # fmt: skip
    judge(answer, _shared, cases, slips)
    print("shared: right")
