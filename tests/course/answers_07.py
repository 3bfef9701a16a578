"""Answers to the exercises of page 07."""

import math

import torch
from scipy.stats import norm, t


def product(mine, gold, of):
    return torch.tensor([of(mine[k], gold[k]) for k in gold], dtype=torch.float64).prod().item()


def by_network(values, network):
    groups = {}
    for value, k in zip(values.tolist(), network.tolist(), strict=True):
        groups.setdefault(k, []).append(value)
    return [sum(group) / len(group) for group in groups.values()]


def mean_and_error(d):
    mean = sum(d) / len(d)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in d) / (len(d) - 1) / len(d))


def interval(d, m, *, half=lambda error, n, m: t.isf(0.025 / m, n - 1) * error):
    mean, error = mean_and_error(d)
    return mean, float(half(error, len(d), m))


def clustered(half):
    return lambda a, b, k, m: interval(by_network(a - b, k), m, half=half)


def my_paired(a, b, k, m):
    return interval(by_network(a - b, k), m)


def unpaired(a, b, k, m):
    (x, e), (y, f) = (mean_and_error(by_network(v, k)) for v in (a, b))
    return x - y, t.isf(0.025 / m, len(set(k.tolist())) - 1) * math.hypot(e, f)


def ends(*given):
    mean, half = my_paired(*given)
    return mean - half, mean + half


def in_turn(once, request, run, requests, settings, gold, *, tries=None, keep=True, share=True, judge=1):
    """Counted as it happens: the validation request, then every request."""
    passes, cache = 0.0, set()

    def need(name, price):
        nonlocal passes
        passes += 0 if name in cache else price
        cache.add(name)

    def unlearn(number, setting):
        need("D" if keep else ("D", number), once)
        need(("of", number) if share else ("of", number, setting), request)
        need(("run", number, setting), run)

    if settings > 1:
        for setting in range(settings if tries is None else tries):
            unlearn("validation", setting)
        passes += judge * gold
    for number in range(requests):
        unlearn(number, 0)
    return passes / requests


def everywhere(once, request, run, requests, settings, gold):
    return once / requests + request + settings * run + (gold / requests if settings > 1 else 0)


RIGHT = {
    "tow": lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b) / 100),
    "paired": my_paired,
    "cost": in_turn,
}
WRONG = {
    "tow": [
        (lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b)), "divide the gaps by 100"),
        (lambda m, g: product(m, g, lambda a, b: 1 - (a - b) / 100), r"take \|gap\|"),
        (lambda m, g: product(m, g, lambda a, b: 1 - (b - a) / 100), r"take \|gap\|"),
        (lambda m, g: product(m, g, lambda a, b: abs(a - b) / 100), "gold itself has ToW 1"),
        (lambda m, g: sum(1 - abs(m[k] - g[k]) / 100 for k in g) / len(g), "do not average"),
        (lambda m, g: 1 - sum(abs(m[k] - g[k]) / 100 for k in g), "do not take 1 minus all gaps"),
        (lambda m, g: product(m, g, lambda a, b: 1 - ((a - b) / 100) ** 2), "not its square"),
        (lambda m, g: product(m, g, lambda a, b: 1 - max(a - b, 0) / 100), "expected"),
        (lambda m, g: 1 - abs(m["a"] - g["a"]) / 100, "expected|KeyError"),
    ],
    "paired": [
        (lambda a, b, k, m: interval((a - b).tolist(), m), "average the differences of each network first"),
        (lambda a, b, k, m: ((a - b).mean(), my_paired(a, b, k, m)[1]), "not of all records"),
        (lambda a, b, k, m: my_paired(a, b, k, 1), "0.05 / m in place"),
        (clustered(lambda e, n, m: t.isf(0.05 / m, n - 1) * e), "two sides"),
        (clustered(lambda e, n, m: m * t.isf(0.025, n - 1) * e), "do not multiply the half-width"),
        (clustered(lambda e, n, m: norm.isf(0.025 / m) * e), "not the normal"),
        (clustered(lambda e, n, m: 1.96 * e), "not 1.96"),
        (clustered(lambda e, n, m: t.isf(0.025 / m, n) * e), "networks minus 1"),
        (lambda a, b, k, m: clustered(lambda e, n, m: t.isf(0.025 / m, len(a) - 1) * e)(a, b, k, m),
         "not records minus 1"),
        (clustered(lambda e, n, m: t.isf(0.025 / m, n - 1) * e * math.sqrt(1 - 1 / n)), "n - 1 in it"),
        (clustered(lambda e, n, m: t.isf(0.025 / m, n - 1) * e * math.sqrt(n)), "the root of the number"),
        (lambda a, b, k, m: clustered(lambda e, n, m: t.isf(0.025 / m, n - 1) * e * math.sqrt(n / len(a)))(
            a, b, k, m), "not of records"),
        (unpaired, "subtract first"),
        (lambda a, b, k, m: my_paired(b, a, k, m), "not the other way round"),
        (ends, "not the two ends"),
        (clustered(lambda e, n, m: 2 * t.isf(0.025 / m, n - 1) * e), "half of the width"),
        (lambda *given: my_paired(*given)[0], "return 2 things"),
        (lambda *given: torch.tensor(my_paired(*given)), "return 2 things"),
        (clustered(lambda e, n, m: e), "expected .* got"),
    ],
    "cost": [
        (lambda *a: in_turn(*a, keep=False), "the validation request too"),
        (lambda o, *rest: in_turn(o, *rest) + o * (1 - 1 / rest[2]), "serves all requests"),
        (lambda o, *rest: in_turn(0, *rest), "computed once"),
        (lambda *a: in_turn(*a, share=False), "shared by all settings"),
        (lambda *a: in_turn(*a[:4], 1, 0), "tuning is part"),
        (lambda *a: in_turn(*a, judge=0), "gold models of the validation request"),
        (everywhere, "not on every request"),
        (lambda *a: in_turn(*a, judge=a[4]), "judge all settings"),
        (lambda *a: in_turn(*a, judge=a[3]), "which is made once"),
        (lambda o, q, r, n, k, g: (o + (n + 1) * q + (n + k) * r + g) / n, "leaves nothing to choose"),
        (lambda *a: in_turn(*a, tries=a[4] - 1), "expected .* got"),
        (lambda o, q, r, n, k, g: (o + n * q + (n + (k > 1) * (k - 1)) * r + (k > 1) * g) / n,
         "none of the requests"),
        (lambda o, q, r, n, k, g: (o + n * q + (n + (k > 1) * k) * r + (k > 1) * g) / n,
         "that its settings share"),
        (lambda *a: a[3] * in_turn(*a), "divide by their number"),
        (lambda *a: in_turn(*a) * a[3] / (a[3] + (a[4] > 1)), "validation request left out"),
        (lambda o, q, r, n, k, g: o + q + r, "tuning is part"),
    ],
}  # fmt: skip
