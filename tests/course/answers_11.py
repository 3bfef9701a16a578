"""Answers to the exercises of page 11."""

import functools
import math

import torch
from scipy.stats import norm, t


def batches(g, size):
    return torch.stack([part.mean(0).abs() for part in g.split(size)])


def groups(values, network):
    found = {}
    for v, k in zip(values.tolist(), network.tolist(), strict=True):
        found.setdefault(k, []).append(v)
    return [sum(each) / len(each) for each in found.values()]


def deviation(values, less=1):
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - less))


@functools.cache
def student(n, share=0.975):
    return t.ppf(share, n - 1)


def smallest(
    values,
    network,
    points,
    of=lambda v, k: deviation(groups(v, k)),
    half=lambda s, n: student(n) * s / n**0.5,
):
    return next(n for n in range(2, 100_000) if half(of(values, network), n) <= points)


def with_half(half):
    return lambda *a: smallest(*a, half=half)


def divergence(p, q, of=lambda a, b: a * math.log2(a / b) if a > 0 else 0.0, middle=lambda a, b: (a + b) / 2):
    rows = zip(p.tolist(), q.tolist(), strict=True)
    return torch.tensor([sum(of(a, middle(a, b)) + of(b, middle(a, b)) for a, b in zip(*row, strict=True)) / 2
                         for row in rows], dtype=torch.float64)  # fmt: skip


def one_side(p, q):
    m = (p + q) / 2
    return torch.where(p > 0, p * (p / m).log2(), 0).sum(1)


def with_nan(p, q):
    m = (p + q) / 2
    return (p * (p / m).log2() + q * (q / m).log2()).sum(1) / 2


def filling(p, q):
    p[p == 0], q[q == 0] = 1e-300, 1e-300
    return with_nan(p, q)


def kl(p, q):
    return torch.where(p > 0, p * (p / q).log2(), 0).sum(1)


RIGHT = {
    "partial_batch": lambda g, size: batches(g, size).mean(0),
    "networks_needed": smallest,
    "js_bits": divergence,
}
WRONG = {
    "partial_batch": [
        (lambda g, size: g.mean(0).abs(), "take .* of the mean of each"),
        (lambda g, size: g.abs().mean(0), "signs within a batch cancel"),
        (lambda g, size: sum(len(p) * p.mean(0).abs() for p in g.split(size)) / len(g), "like a full one"),
        (lambda g, size: batches(g, size).sum(0), "do not add them up"),
        (lambda g, size: batches(g, size).sum(0) / max(len(g) // size, 1), "expected"),
        (lambda g, size: torch.stack([p.mean(0).abs() for p in g.chunk(-(-len(g) // size))]).mean(0),
         "g.split"),
        (lambda g, size: torch.stack([p.mean(0) for p in g.split(size)]).mean(0).abs(),
         "belongs to each batch"),
        (lambda g, size: torch.stack([p.sum(0).abs() for p in g.split(size)]).mean(0), "not its sum"),
        (lambda g, size: batches(g[: len(g) // size * size], size).mean(0), "counts too|RuntimeError"),
    ],
    "networks_needed": [
        (lambda *a: smallest(*a, of=lambda v, k: deviation(v.tolist())), "not of the records"),
        (lambda *a: smallest(*a, of=lambda v, k: deviation(groups(v, k), 0)), "n - 1 in it"),
        (with_half(lambda s, n: norm.ppf(0.975) * s / n**0.5), "not 1.96"),
        (lambda v, k, points: smallest(v, k, points, half=lambda s, n: student(len(k.unique())) * s / n**0.5),
         "for the n that you ask for"),
        (with_half(lambda s, n: t.ppf(0.975, n) * s / n**0.5), "n - 1 degrees"),
        (with_half(lambda s, n: 2 * student(n) * s / n**0.5), "not the whole interval"),
        (with_half(lambda s, n: student(n, 0.95) * s / n**0.5), "on either side"),
        (with_half(lambda s, n: student(n) * s / n), r"divide by the root of n"),
        (with_half(lambda s, n: s / n**0.5), "not the standard error alone"),
        (with_half(lambda s, n: student(n) * s**2 / n**0.5), "not the variance"),
        (lambda v, k, points: smallest(v, k, points) - len(k.unique()), "not how many more"),
        (lambda *a: smallest(*a) - 1, "the last that is not"),
        (lambda v, k, points: math.ceil(smallest(v, k, points) * len(v) / len(k.unique())),
         "networks, not records"),
        (lambda v, k, points: math.ceil((1.96 * deviation(groups(v, k)) / points) ** 2), "not 1.96|expected"),
        (lambda v, k, points: deviation(groups(v, k)), "expected .* got"),
    ],
    "js_bits": [
        (lambda p, q: divergence(p, q) * math.log(2), "in bits"),
        (with_nan, "0 log 0"),
        (lambda p, q: 2 * divergence(p, q), "between 0 and 1"),
        (one_side, r"KL\(q \|\| m\) as well"),
        (lambda p, q: one_side(q, p), r"KL\(p \|\| m\) as well"),
        (kl, "which is infinite"),
        (lambda p, q: (kl(p, q) + kl(q, p)) / 2, "not with the other"),
        (lambda p, q: divergence(p, q, middle=lambda a, b: a + b), "p . q adds up to 2"),
        (lambda p, q: (kl((p + q) / 2, p) + kl((p + q) / 2, q)) / 2, "not the other way round"),
        (lambda p, q: divergence(p, q).clamp(min=0) ** 0.5, "not its root"),
        (lambda p, q: divergence(p, q).mean(), "one number for each row"),
        (lambda p, q: divergence(p.mean(0)[None], q.mean(0)[None]).repeat(len(p)),
         "not that of the mean rows"),
        (lambda p, q: divergence(p, q) / p.shape[1], "not a mean"),
        (filling, "the arguments have changed"),
        (lambda p, q: divergence(p, q).tolist(), "return a tensor, not list"),
        (lambda p, q: divergence(*((v + 0.01) / (v + 0.01).sum(1)[:, None] for v in (p, q))),
         "expected .* got"),
    ],
}  # fmt: skip
