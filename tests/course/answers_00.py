"""Answers to the exercises of page 00."""

import torch


def same_answer(a, b):
    return 100 * sum(int(p.argmax()) == int(q.argmax()) for p, q in zip(a, b, strict=True)) / len(a)


def from_range(value, golds):
    low, *_, high = sorted([*golds, golds[0]])
    return value - high if value > high else value - low if value < low else 0.0


def sorting(value, golds):
    golds.sort()
    return from_range(value, golds)


def answers_sorted(a, b):
    return 100 * (a.argmax(1).sort().values == b.argmax(1).sort().values).double().mean()


RIGHT = {"agreement": same_answer, "outside": from_range}
WRONG = {
    "agreement": [
        (lambda a, b: same_answer(a, b) / 100, "in percent"),
        (lambda a, b: 100 - same_answer(a, b), "not of different ones"),
        (lambda a, b: (a.argmax(1) == b.argmax(1)).sum().item(), "not their number"),
        (lambda a, b: 100 * (a.max(1).values == b.max(1).values).double().mean(), "argmax, not max"),
        (lambda a, b: 100 * torch.isclose(a, b).double().mean(), "need not be equal"),
        (lambda a, b: 100 * (a.argmax(0) == b.argmax(0)).double().mean(), r"over the classes, argmax\(1\)"),
        (lambda a, b: 100.0 * (a.argmax() == b.argmax()), "not one for all logits"),
        (lambda a, b: same_answer(-a, -b), "not the smallest"),
        (lambda a, b: 100 * (a.argmax(1) == b.argmax(1)).sum() / a.shape[1], "not by the classes"),
        (lambda a, b: 100 * (a.argmax(1) == b.argmax(1)), "return one number, not a tensor"),
        (lambda a, b: [same_answer(a, b)], "return one number, not list"),
        (answers_sorted, "expected .* got"),
        (lambda a, b: 100.0, "expected .* got 100"),
        (lambda a, b: same_answer(a.sub_(a.amax(1, keepdim=True)), b), "the arguments have changed"),
        (lambda a, b: 100 * sum(a.argmax(1) == b.argmax(1)) / 40, "expected"),
    ],
    "outside": [
        (lambda v, g: abs(from_range(v, g)), "below is negative"),
        (lambda v, g: -from_range(v, g), "positive is above gold"),
        (lambda v, g: v - max(g) if v > max(g) else 0.0, "below gold is as far"),
        (lambda v, g: v - min(g) if v < min(g) else 0.0, "above gold counts"),
        (lambda v, g: v - sum(g) / len(g), "not from the mean"),
        (lambda v, g: v - max(g), "to the highest"),
        (lambda v, g: v - min(g), "to the lowest"),
        (lambda v, g: v - min(g, key=lambda each: abs(v - each)), "to the nearest gold model"),
        (lambda v, g: v - g[0], "one gold model is no range"),
        (lambda v, g: v - g[-1] if v > g[-1] else v - g[0] if v < g[0] else 0, "come in any order"),
        (lambda v, g: not min(g) <= v <= max(g), "not only whether"),
        (sorting, "the arguments have changed"),
        (lambda v, g: from_range(v, g) / (max(g) - min(g)), "ZeroDivisionError in line"),
        (lambda v, g: (from_range(v, g), v), "return one number, not tuple"),
        (lambda v, g: from_range(v, g) if v > 0.1 else None, "nothing came back"),
    ],
}  # fmt: skip
