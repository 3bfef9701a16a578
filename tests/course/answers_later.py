"""Answers to the exercises of pages 04 to 07 and 09 to 11."""

import torch


def accuracies(p, y, n):
    return torch.tensor([100 * ((p == y) & (y == c)).sum().item() / max(int((y == c).sum()), 1)
                         if (y == c).any() else float("nan") for c in range(n)])  # fmt: skip


def means(p, y, n):
    return [100 * sum(bool(a == b) for a, b in zip(p, y, strict=True) if b == c) / int((y == c).sum())
            for c in range(n)]  # fmt: skip


def right_of(p, y, where):
    return 100 * (p == y)[where].double().mean().item()


def gap(p, y, s, f, b):
    return right_of(p, y, (s != f) & (s != b)) - right_of(p, y, s == b)


def product(mine, gold, of):
    return torch.tensor([of(mine[k], gold[k]) for k in gold], dtype=torch.float64).prod().item()


def batches(g, size):
    return torch.stack([part.mean(0).abs() for part in g.split(size)])


def sizes(ratios, alphas):
    return [int((ratios > max(alpha, 1.0)).sum()) for alpha in alphas]


RIGHT = {
    "per_class": accuracies,
    "sibling_gap": gap,
    "spread": lambda g, n: g.std(0) / g.mean(0) * (1 / n - 1 / len(g)) ** 0.5,
    "tow": lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b) / 100),
    "networks": lambda ratios, alphas: len(set(sizes(ratios, alphas))),
    "margin": lambda z: z.topk(2, 1).values @ torch.tensor([1.0, -1.0]),
    "partial_batch": lambda g, size: batches(g, size).mean(0),
}
WRONG = {
    "per_class": [
        (lambda p, y, n: means(p, y, n), "without images.*ZeroDivisionError in line"),
        (lambda p, y, n: accuracies(p, y, n) / 100, "in percent"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(0), "NaN, not 0"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(100), "NaN, not 100"),
        (lambda p, y, n: 100 * ((p == y).sum() / len(y)), "one number for each class"),
        (lambda p, y, n: accuracies(y, p, n), "not by the answers"),
        (lambda p, y, n: accuracies(p, y, int(y.max()) + 1), r"expected the shape \[5\], got \[4\]"),
        (lambda p, y, n: 100 - accuracies(p, y, n), "the share that is wrong"),
        (lambda p, y, n: 100 * torch.bincount(y[p == y], minlength=n) / len(y), "not by all images"),
    ],
    "sibling_gap": [
        (lambda p, y, s, f, b: gap(p, y, s, 8, 0), "on the page|IndexError|expected"),
        (lambda *a: -gap(*a), "the sign: positive"),
        (lambda *a: abs(gap(*a)), "the sign matters"),
        (lambda p, y, s, f, b: right_of(p, y, s != b) - right_of(p, y, s == b), "neither group"),
        (lambda p, y, s, f, b: right_of(p, y, s != f) - right_of(p, y, s == b), "the sibling not among them"),
        (lambda p, y, s, f, b: gap(p, y, s, b, f), "not the forgotten sub-class"),
        (lambda *a: gap(*a) / 100, "in points"),
        (lambda p, y, s, f, b: gap(p, s, s, f, b), "predicted == y"),
        (lambda p, y, s, f, b: torch.tensor([right_of(p, y, s == c)
                                      for c in s.unique() if c not in (f, b)]).mean()
         - right_of(p, y, s == b), "counts alike"),
        (lambda p, y, s, f, b: right_of(p, y, s == b), "expected"),
    ],
    "spread": [
        (lambda g, n: (g.std(0) / g.mean(0)).sum(), "one prediction per weight"),
        (lambda g, n: g.std(0) / g.mean(0) / n**0.5, "D_f = D has ratio 1"),
        (lambda g, n: g.std(0) / g.mean(0) * (1 - n / len(g)) ** 0.5 / n, "twice the samples"),
        (lambda g, n: g.std(0) * (1 / n - 1 / len(g)) ** 0.5, "c = std / mean"),
        (lambda g, n: (g.std(0) / g.mean(0) + 1) * (1 / n - 1 / len(g)) ** 0.5, "no spread"),
    ],
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
    "networks": [
        (lambda r, a: len(a), "every alpha leaves the original"),
        (lambda r, a: len({int((r >= v).sum()) for v in a}), "strict"),
        (lambda r, a: len({int((r > v).sum()) for v in a}), "may be selected, but its factor"),
        (lambda r, a: len({s for s in sizes(r, a) if s}), "one network|leaves the original"),
        (lambda r, a: 1 + sum(p != q for p, q in zip(sizes(r, a), sizes(r, a)[1:], strict=False)), "order"),
        (lambda r, a: min(2, len(set(sizes(r, a)))), "four networks"),
    ],
    "margin": [
        (lambda z: z.max(1).values, "subtract the second largest"),
        (lambda z: z.amax(1) - z.amin(1), "largest minus smallest"),
        (lambda z: z.topk(2, 1).values @ torch.tensor([-1.0, 1.0]), "not the other way round"),
        (lambda z: (z.topk(2, 1).values @ torch.tensor([1.0, -1.0])).sum(), "one number for each sample"),
        (lambda z: (z.topk(2, 1).values @ torch.tensor([1.0, -1.0])).tolist(), "return a tensor"),
        (lambda z: z.amax(1) - z.masked_fill(z == z.amax(1, keepdim=True), -9).amax(1), "count both"),
        (lambda z: (z.detach().topk(2, 1).values @ torch.tensor([1.0, -1.0])) + 0 * z.sum(1),
         "nothing may be detached"),
    ],
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
}  # fmt: skip
