"""Answers to the exercises of page 03."""

import torch


def rule(mask, factor=lambda f, d, lam: torch.minimum(lam * d / f, torch.ones_like(f))):
    return lambda t, f, d, a, lam: torch.where(mask(f, d, a), t * factor(f, d, lam), t)


def above(f, d, a):
    return (f > a * d) & (d > 0)


def in_place(t, f, d, a, lam):
    t *= torch.where(above(f, d, a), (lam * d / f).clamp(max=1), 1.0)
    return t


RIGHT = {
    "dampened": rule(above),
}
WRONG = {
    "dampened": [
        (rule(lambda f, d, a: (f > a) & (d > 0)), "not with alpha"),
        (rule(above, lambda f, d, lam: (d / f).clamp(max=1) if lam >= 1 else f * 0), "does not prune"),
        (lambda t, f, d, a, lam: t * torch.where(f > a * d, lam * d / f, f / f).clamp(max=1),
         "0 / 0 is NaN|D says nothing"),
        (rule(lambda f, d, a: f > a * d), "D says nothing"),
        (rule(lambda f, d, a: f >= a * d), "it is strict"),
        (rule(above, lambda f, d, lam: lam * d / f), "no weight may grow"),
        (rule(above, lambda f, d, lam: (lam / f).clamp(max=1)), "not lam / I_f"),
        (rule(above, lambda f, d, lam: (d / f).clamp(max=1)), "has lambda in it"),
        (rule(lambda f, d, a: f < a * d), "above the threshold, not below"),
        (lambda t, f, d, a, lam: torch.where(above(f, d, a), (t * lam * d / f).clamp(max=1), t),
         "not the product"),
        (lambda t, f, d, a, lam: t * (lam * d / f).clamp(max=1), "all others keep their value"),
        (lambda t, f, d, a, lam: torch.where(above(f, d, a), t * 0, t), "expected .* got"),
        (in_place, "the arguments have changed"),
        (lambda t, f, d, a, lam: (t, f), "return a tensor, not tuple"),
    ],
}  # fmt: skip
