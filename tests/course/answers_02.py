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


def length(z):
    return torch.linalg.vector_norm(z)


def around_mean(z):
    return ((z - z.mean(dim=1, keepdim=True)) ** 2).sum()


def whole_batch(model, x):
    grads = torch.autograd.grad(model(x).norm(), list(model.parameters()))
    return {name: g.abs() for (name, _), g in zip(model.named_parameters(), grads, strict=True)}


def of_the_batch(model, x):
    """Centred over the samples."""
    mean = model(x).mean(0).detach()
    return gradients(model, x, lambda z: ((z - mean) ** 2).sum(), lambda g: g.abs().mean(0))


def decaying(model, x):
    for p in model.parameters():
        p.data.mul_(0.9999999)
    return of_score(around_mean)(model, x)


def rest(i_d, n, i_f, n_f):
    return {k: (n * i_d[k] - n_f * i_f[k]) / (n - n_f) for k in i_d}


def by_name(of):
    return lambda d, n, f, m: {k: of(d[k], n, f[k], m) for k in d}


def subtracting(i_d, n, i_f, n_f):
    for k in i_d:
        i_d[k] -= n_f / n * i_f[k]
        i_d[k] *= n / (n - n_f)
    return i_d


def few(values, share):
    total, have = float(values.sum()), 0.0
    for count, value in enumerate(sorted(values.tolist(), reverse=True), 1):
        have += value
        if have >= share * total:
            return count


def in_order(values, share):
    return 1 + int((values.cumsum(0) < share * values.sum()).sum())


RIGHT = {
    "unsquared": of_score(length),
    "centred": of_score(around_mean),
    "without": rest,
    "speakers": few,
    "sensitivity": of_score(norm),
}
WRONG = {
    "unsquared": [
        (of_score(norm), "not its square"),
        (of_score(lambda z: z.square().sum().sqrt()), "that sample adds 0"),
        (lambda m, x: of_score(length)(m, x[m(x).norm(dim=1) > 0]), "still counts in the mean"),
        (of_score(lambda z: z.abs().sum()), "not the sum of absolute values"),
        (of_score(lambda z: z.abs().amax()), "not the largest"),
        (of_score(lambda z: z.sum().abs()), "not of their sum"),
        (whole_batch, "not one of the whole batch"),
        (of_score(length, lambda g: g.mean(0).abs()), "then average"),
        (of_score(length, lambda g: g.abs().sum(0)), "do not add them up"),
        (of_score(length, lambda g: (g**2).mean(0)), "not the square"),
        (lambda m, x: {"weight": of_score(length)(m, x).get("weight")}, "the dict lacks"),
        (lambda m, x: {k: v for k, v in of_score(length)(m, x).items() if "bias" not in k}, "the biases too"),
        (lambda m, x: {k: v.sum() for k, v in of_score(length)(m, x).items()}, "expected the shape"),
        (lambda m, x: [*of_score(length)(m, x).values()], "return a dict by name, not list"),
        (of_score(lambda z: (z.square().sum() + 0.1).sqrt()), "expected .* got"),
    ],
    "centred": [
        (of_score(norm), "subtract the mean of the logits first"),
        (of_the_batch, "not over the samples"),
        (of_score(lambda z: ((z - z.max()) ** 2).sum()), "not the largest logit"),
        (of_score(lambda z: (z.softmax(1) ** 2).sum()), "not probabilities"),
        (of_score(lambda z: z.var(dim=1, unbiased=False).sum()), "not their mean"),
        (of_score(lambda z: around_mean(z) / 2), "factor of 2"),
        (of_score(lambda z: norm(z) - z.mean() ** 2), "first centre, then square"),
        (of_score(around_mean, lambda g: g.mean(0).abs()), "then average"),
        (of_score(around_mean, lambda g: g.abs().sum(0)), "do not add them up"),
        (of_score(around_mean, lambda g: (g**2).mean(0)), "not the square"),
        (lambda m, x: {k: v for k, v in of_score(around_mean)(m, x).items() if "bias" not in k},
         "biases too"),
        (lambda m, x: {f"inner.{k}": v for k, v in of_score(around_mean)(m, x).items()}, "the dict lacks"),
        (decaying, "the arguments have changed"),
        (of_score(lambda z: around_mean(z) / 3), "expected|not their mean"),
        (of_score(lambda z: around_mean(z) ** 2), "expected .* got"),
    ],
    "without": [
        (by_name(lambda d, n, f, m: d - f), "turn them into sums"),
        (by_name(lambda d, n, f, m: torch.relu(d - f)), "none is negative"),
        (by_name(lambda d, n, f, m: n * d - m * f), "samples that remain"),
        (by_name(lambda d, n, f, m: (n * d - m * f) / n), "not by N$"),
        (by_name(lambda d, n, f, m: (n * d - m * f) / m), "not by N_f$"),
        (by_name(lambda d, n, f, m: n * (d - f) / (n - m)), "its own number"),
        (by_name(lambda d, n, f, m: 2 * d - f), "not of equal size"),
        (by_name(lambda d, n, f, m: (n * d + m * f) / (n + m)), "do not add it"),
        (by_name(lambda d, n, f, m: d * n / (n - m)), "not only its count"),
        (by_name(lambda d, n, f, m: (m * f - n * d) / (n - m)), "not the other way round"),
        (subtracting, "the arguments have changed"),
        (lambda d, n, f, m: rest(d, n, f, m)["weight"], "return a dict by name, not a tensor"),
        (lambda d, n, f, m: {"weight": rest(d, n, f, m)["weight"]}, "the dict lacks .'bias'"),
        (lambda d, n, f, m: {k: v.flatten() for k, v in rest(d, n, f, m).items()}, "expected the shape"),
        (lambda d, n, f, m: {k: v.half() for k, v in rest(d, n, f, m).items()}, "expected .* got"),
    ],
    "speakers": [
        (lambda v, s: in_order(v.sort().values, s), "the largest first"),
        (in_order, "in any order"),
        (lambda v, s: 1 + int((v.sort(descending=True).values.cumsum(0) <= s * v.sum()).sum()), "is enough"),
        (lambda v, s: few(v, s) - 1, "reaches the share as well"),
        (lambda v, s: few(v, s) / len(v), "not a share of them"),
        (lambda v, s: 100 * few(v, s) / len(v), "not their percentage"),
        (lambda v, s: int(s * len(v)), "not of the samples"),
        (lambda v, s: int((v >= s * v.max()).sum()), "not of the largest value"),
        (lambda v, s: int((v >= s * v.sum()).sum()), "add values up"),
        (lambda v, s: sum(sorted(v.tolist())[-few(v, s):]) / v.sum().item(), "not how much"),
        (lambda v, s: v.sort(descending=True).indices[: few(v, s)], "return one number, not a tensor"),
        (lambda v, s: few(v, 0.5), "expected"),
        (lambda v, s: few(v, 1 - s / 3), "expected"),
        (lambda v, s: few(v.unique(), s), "expected"),
        (lambda v, s: few(v.mul_(2), s), "the arguments have changed"),
    ],
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
