"""Answers to the exercises of page 02."""

import torch


def gradients(model, x, score, each):
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows = [torch.autograd.grad(score(model(x[k : k + 1])), parameters) for k in range(len(x))]
    return {name: each(torch.stack(g)) for name, g in zip(names, zip(*rows, strict=True), strict=True)}


def of_score(score, each=lambda g: g.abs().mean(0)):
    return lambda model, x: gradients(model, x, score, each)


def norm(z):
    return (z**2).sum()


def of_batch(model, x):
    model.zero_grad()
    norm(model(x)).backward()
    return {name: p.grad.abs() / len(x) for name, p in model.named_parameters()}


def written_down(model, x):
    """|2 f x|, of the one layer with one logit."""
    return {"weight": (2 * model(x) * x).abs().mean(0, keepdim=True)}


RIGHT = {
    "sensitivity": of_score(norm),
}
WRONG = {
    "sensitivity": [
        (of_score(lambda z: z.sum() ** 2), "not the square of their sum"),
        (of_score(lambda z: z.max() ** 2), "not the largest alone"),
        (lambda m, x: {k: v for k, v in of_score(norm)(m, x).items() if "bias" not in k}, "the biases too"),
        (written_down, "the dict lacks"),
        (of_score(norm, lambda g: g.mean(0).abs()), "of each sample's gradient, then average"),
        (of_batch, "of each sample's gradient, then average"),
        (of_score(norm, lambda g: g.mean(0)), "never negative"),
        (of_score(norm, lambda g: g.abs().sum(0)), "do not add them up"),
        (of_score(norm, lambda g: (g**2).mean(0)), "would be SSD's"),
        (of_score(lambda z: z.norm()), "without the root"),
        (of_score(lambda z: norm(z) / 2), "factor of 2"),
        (of_score(lambda z: (z**2).mean()), "not over logits"),
        (lambda m, x: list(of_score(norm)(m, x).values()), "return a dict"),
        (lambda m, x: {k: v.flatten() for k, v in of_score(norm)(m, x).items()}, "expected .* got"),
    ],
}  # fmt: skip
