"""Answers to the exercises of pages 07 and 10."""

import torch


def product(mine, gold, of):
    return torch.tensor([of(mine[k], gold[k]) for k in gold], dtype=torch.float64).prod().item()


RIGHT = {
    "tow": lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b) / 100),
    "margin": lambda z: z.topk(2, 1).values @ torch.tensor([1.0, -1.0]),
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
    "margin": [
        (lambda z: z.max(1).values, "subtract the second largest"),
        (lambda z: z.amax(1) - z.amin(1), "not the smallest"),
        (lambda z: z.topk(2, 1).values.diff(dim=1)[:, 0], "not the other way round"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1).sum(), "not their sum"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1).mean(), "not their mean"),
        (lambda z: -z.topk(2, 0).values.diff(dim=0)[0], "not of each column"),
        (lambda z: z.amax(1) - z.masked_fill(z == z.amax(1, keepdim=True), -9).amax(1), "count both"),
        (lambda z: -z.softmax(1).topk(2, 1).values.diff(dim=1)[:, 0], "not probabilities"),
        (lambda z: z.topk(2, 1).values, "subtract"),
        (lambda z: (-z.topk(2, 1).values.diff(dim=1)[:, 0]).tolist(), "return a tensor, not list"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1), "expected the shape"),
        (lambda z: -z.detach().topk(2, 1).values.diff(dim=1)[:, 0], "nothing may be detached"),
        (lambda z: -z.detach().topk(2, 1).values.diff(dim=1)[:, 0] + 0 * z.sum(1), "nothing may be detached"),
        (lambda z: z.sort(1).values[:, -1] - z.sort(1).values[:, 1], "expected .* got"),
    ],
}  # fmt: skip
