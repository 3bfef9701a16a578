"""Answers to the exercises of page 01."""

import math

import torch


def kept(n, forget):
    return [k for k in range(n) if k not in forget.tolist()]


def overwriting(n, forget):
    forget.sort()
    forget[:1] = 0
    return torch.tensor(kept(n, forget), dtype=torch.int64)


def shares(y, forget, n):
    gone = [sum(int(y[k]) == c for k in forget.tolist()) for c in range(n)]
    of = [int((y == c).sum()) for c in range(n)]
    return torch.tensor([100 * a / b if b else float("nan") for a, b in zip(gone, of, strict=True)])


def unmasked(y, forget, n):
    y[forget] = n
    return shares(y, forget, n)


def bits(p):
    return -sum(v * math.log2(v) for v in p.tolist() if v > 0)


def divergence(p):
    rows = [bits(p[:, k].mean(0)) - sum(bits(q[k]) for q in p) / len(p) for k in range(p.shape[1])]
    return torch.tensor(rows)


def h(p):
    return -(p * p.clamp(min=1e-30).log2()).sum(-1)


def common(a, b):
    pairs = zip(a.named_parameters(), b.named_parameters(), strict=True)
    return {k: 100 * (p == q).sum().item() / p.numel() for (k, p), (_, q) in pairs}


def overlaid(a, b):
    before = {k: p.clone() for k, p in a.named_parameters()}
    a.load_state_dict(b.state_dict())
    return {k: 100 * (before[k] == p).double().mean().item() for k, p in a.named_parameters()}


RIGHT = {
    "forgotten_share": shares,
    "gold_spread": divergence,
    "shared": common,
    "retain_index": lambda n, forget: torch.tensor(kept(n, forget), dtype=torch.int64),
}
WRONG = {
    "forgotten_share": [
        (lambda y, f, n: shares(y, f, n) / 100, "in percent"),
        (lambda y, f, n: 100 - shares(y, f, n), "not the one that stays"),
        (lambda y, f, n: 100 * torch.stack([(y[f] == c).double().mean() for c in range(n)]), "those of D_f"),
        (lambda y, f, n: 100 * y[f].bincount(minlength=n) / len(y), "not by all of D"),
        (lambda y, f, n: y[f].bincount(minlength=n), "not a number of images"),
        (lambda y, f, n: shares(y, f, n).nan_to_num(0), "NaN, not 0"),
        (lambda y, f, n: shares(y, f, n).nan_to_num(100), "NaN, not 100"),
        (lambda y, f, n: 100 * len(f) / len(y), "not one for all"),
        (lambda y, f, n: 100 * y[f].bincount(minlength=n) / (len(y) / n), "each one's own"),
        (lambda y, f, n: shares(y, f, n).tolist(), "return a tensor, not list"),
        (lambda y, f, n: 100 * y[f].bincount() / y.bincount(), "expected the shape|RuntimeError in line"),
        (lambda y, f, n: shares(y, f, n).round().long(), "expected .* got"),
        (unmasked, "the arguments have changed"),
        (lambda y, f, n: shares(y, (y == 2).nonzero()[:, 0], n), "expected .* got"),
    ],
    "gold_spread": [
        (lambda p: -(p.mean(0) * p.mean(0).log2()).sum(-1) + (p * p.log2()).sum(-1).mean(0), "0 log 0"),
        (lambda p: divergence(p) * math.log(2), "in bits: divide"),
        (lambda p: h(p.mean(0)), "subtract the models' own"),
        (lambda p: h(p).mean(0), "of the mixture is missing"),
        (lambda p: h(p).mean(0) - h(p.mean(0)), "never negative"),
        (lambda p: divergence(p).mean(), r"each image \[N\]"),
        (lambda p: h(p.mean(1)) - h(p).mean(1), "mix the models, dimension 0"),
        (lambda p: h(p.mean(0)) - h(p).sum(0) / 2, "not half of their sum"),
        (lambda p: h(p.mean(0)) - h(p).sum(0), "not their sum"),
        (lambda p: divergence(p[[0, 1]]), "not the first two"),
        (lambda p: sum(divergence(p[[a, b]]) for a in range(len(p)) for b in range(a)) * 2
         / (len(p) * (len(p) - 1)), "pair by pair"),
        (lambda p: divergence(p) / math.log2(p.shape[2]), "whatever the number of classes"),
        (lambda p: divergence(p.softmax(-1)), "expected .* got"),
        (lambda p: divergence(p).tolist(), "return a tensor, not list"),
        (lambda p: divergence(p)[:, None], "expected the shape"),
        (lambda p: divergence(p.clamp_(min=1e-4)), "the arguments have changed"),
    ],
    "shared": [
        (lambda a, b: {k: 100 * torch.isclose(p, dict(b.named_parameters())[k], rtol=1e-6).double().mean()
                       for k, p in a.named_parameters()}, "not isclose"),
        (lambda a, b: {k: v / 100 for k, v in common(a, b).items()}, "in percent, 0"),
        (lambda a, b: {k: 100 - v for k, v in common(a, b).items()}, "not the one that differs"),
        (lambda a, b: {k: 100.0 * torch.equal(p, b.state_dict()[k]) for k, p in a.named_parameters()},
         "entry by entry: a tensor"),
        (lambda a, b: {k: torch.equal(p, b.state_dict()[k]) for k, p in a.named_parameters()},
         "entry by entry, in percent"),
        (lambda a, b: {k: int((p == b.state_dict()[k]).sum()) for k, p in a.named_parameters()},
         "not their number"),
        (lambda a, b: {k: 100 * float((v == b.state_dict()[k]).double().mean())
                       for k, v in a.state_dict().items()}, "buffers like running_mean"),
        (lambda a, b: {k: v for k, v in common(a, b).items() if "bias" not in k}, "biases, too"),
        (lambda a, b: 100 * sum(int((p == q).sum()) 
         for p, q in zip(a.parameters(), b.parameters(), strict=True))
         / sum(p.numel() for p in a.parameters()), "not one for all"),
        (lambda a, b: {k: 100 * torch.isin(p, b.state_dict()[k]).double().mean()
                       for k, p in a.named_parameters()}, "in its place"),
        (lambda a, b: list(common(a, b).values()), "return a dict by name, not list"),
        (lambda a, b: {k.split(".")[0]: v for k, v in common(a, b).items()}, "the dict lacks"),
        (lambda a, b: {k: p == b.state_dict()[k] for k, p in a.named_parameters()},
         "return one number, not a tensor"),
        (overlaid, "the arguments have changed"),
        (lambda a, b: common(a, a), "expected .* got 100"),
        (lambda a, b: {k: 100 * (p == q).double().mean() for (k, p), q in
                       zip(a.named_parameters(), b.state_dict().values(), strict=False)},
         "expected|RuntimeError"),
    ],
    "retain_index": [
        (lambda n, f: kept(n, f), "return a tensor, not list"),
        (lambda n, f: torch.tensor([k not in f.tolist() for k in range(n)]), "not a mask"),
        (lambda n, f: torch.tensor(kept(n, f)[::-1], dtype=torch.int64), "keep the order of D"),
        (lambda n, f: f, "those are the positions to forget"),
        (lambda n, f: torch.arange(n), "all are there"),
        (lambda n, f: torch.arange(n - len(f)), "not numbers from 0 on"),
        (lambda n, f: torch.tensor(kept(n, f))[:, None], r"\[N_r\], not a column"),
        (overwriting, "the arguments have changed"),
        (lambda n, f: torch.tensor(list(set(range(n)) - set(f))), "all are there"),
        (lambda n, f: torch.tensor(kept(n, f)) + 1, "expected .* got"),
        (lambda n, f: set(range(n)).difference(f.tolist()), "not set"),
        (lambda n, f: None, "nothing came back"),
        (lambda n, f: torch.ones(n)[f].nonzero(as_tuple=True)[3], "IndexError in line"),
        (lambda n, f: torch.tensor(kept(n, f)).double(), "return whole numbers"),
        (lambda n, f: torch.tensor(kept(n, f))[: n - len(f) - 1], "expected the shape"),
        (lambda n, f: torch.arange(len(f), n), "need not be those that go"),
    ],
}  # fmt: skip
