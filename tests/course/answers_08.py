"""Answers to the exercises of page 08."""

import math

import torch


def auc(a, b):
    a, b = a[:, None], b[None]
    return ((a > b).double() + (a == b).double() / 2).mean().item()


def found(members, strangers, rate):
    candidates = [-float("inf"), *sorted(strangers.tolist())]
    for threshold in candidates:
        if sum(s > threshold for s in strangers.tolist()) <= rate * len(strangers):
            return sum(m > threshold for m in members.tolist()) / len(members)


def odds(z, y):
    rows = []
    for row, label in zip(z, y.tolist(), strict=True):
        others = torch.cat([row[:label], row[label + 1 :]])
        rows.append(row[label] - others.logsumexp(0))
    return torch.stack(rows)


def p_of(z, y):
    return z.softmax(1)[torch.arange(len(y)), y]


def others_of(z, y):
    return torch.stack([torch.cat([row[:k], row[k + 1 :]]) for row, k in zip(z, y.tolist(), strict=True)])


def own(z, y):
    return z[torch.arange(len(y)), y]


def place(value, golds, at_least=lambda a, b: a >= b):
    up = sum(at_least(g, value) for g in golds.tolist())
    down = sum(at_least(value, g) for g in golds.tolist())
    return up, down


def p_value(value, golds):
    return min(1.0, 2 * (1 + min(place(value, golds))) / (1 + len(golds)))


RIGHT = {
    "true_positives": found,
    "log_odds": odds,
    "rank_p": p_value,
    "two_sided": lambda a, b: abs(auc(a, b) - 0.5),
}
WRONG = {
    "true_positives": [
        (lambda m, s, r: (m >= [*s.sort(descending=True).values, s.min()][int(r * len(s))]).double().mean(),
         "a stranger on it"),
        (lambda m, s, r: found(m, s, math.ceil(r * len(s)) / len(s)), "round the number of strangers down"),
        (lambda m, s, r: (m > torch.quantile(s, 1 - r)).double().mean(), "not interpolated"),
        (lambda m, s, r: found(m, s, (max(int(r * len(s)) - 1, 0) + 0.5) / len(s)), "one lower"),
        (lambda m, s, r: 100 * found(m, s, r), "a share, 0 to 1"),
        (lambda m, s, r: round(found(m, s, r) * len(m)), "not their number"),
        (lambda m, s, r: found(s, m, r), "members are counted"),
        (lambda m, s, r: 1 - found(m, s, r), "not members missed"),
        (lambda m, s, r: found(m, torch.cat([s, m]), r), "from the strangers alone"),
        (lambda m, s, r: found(-m, -s, r), "from the top"),
        (lambda m, s, r: found(s, s, r), "among the members"),
        (lambda m, s, r: found(m, s, round(r * len(s)) / len(s)), "not to the nearest"),
        (lambda m, s, r: found(m, s, min(r, 1 - 1 / len(s))), "below every stranger"),
        (lambda m, s, r: m > s.max(), "return one number, not a tensor"),
        (lambda m, s, r: s.sort(descending=True).values[int(r * len(s))], "IndexError in line"),
        (lambda m, s, r: r, "expected"),
        (lambda m, s, r: found(m, s.mul_(1.0).sub_(1e-9), r), "the arguments have changed"),
    ],
    "log_odds": [
        (lambda z, y: z.log_softmax(1)[torch.arange(len(y)), y], "that is log p_y"),
        (lambda z, y: (p_of(z, y) / (1 - p_of(z, y))).log(), "use logits"),
        (lambda z, y: own(z, y) - others_of(z, y).exp().sum(1).log(), "overflows"),
        (lambda z, y: own(z, y) - others_of(z, y).amax(1), "not the largest of them"),
        (lambda z, y: -odds(z, y), "positive where the label"),
        (lambda z, y: odds(z, z.argmax(1)), "not of the most probable class"),
        (lambda z, y: odds(z, y).exp(), "the logarithm of the odds"),
        (lambda z, y: odds(z, y).mean(), r"each image \[N\]"),
        (lambda z, y: odds(z, y)[:, None], "not a column"),
        (lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="none"), "the loss"),
        (p_of, "as odds and as a logarithm"),
        (lambda z, y: own(z, y) - others_of(z, y).mean(1), "not minus their mean"),
        (lambda z, y: odds(z, y).tolist(), "return a tensor, not list"),
        (lambda z, y: odds(z.sub_(z.amax(1, keepdim=True)), y), "the arguments have changed"),
        (lambda z, y: odds(z, torch.zeros_like(y)), "expected .* got"),
        (lambda z, y: (p_of(z, y) / (1 - p_of(z, y)).clamp(min=1e-6)).log(), "expected .* got"),
    ],
    "rank_p": [
        (lambda v, g: (1 + min(place(v, g))) / (1 + len(g)), "twice the smaller one"),
        (lambda v, g: min(1.0, 2 * min(place(v, g)) / len(g)), "never 0"),
        (lambda v, g: min(1.0, 2 * (1 + min(place(v, g))) / len(g)), r"divide by n \+ 1"),
        (lambda v, g: min(1.0, 2 * min(place(v, g)) / (1 + len(g))), "add 1 for the network"),
        (lambda v, g: min(1.0, 2 * (1 + place(v, g)[0]) / (1 + len(g))), "low values are as far"),
        (lambda v, g: min(1.0, 2 * (1 + place(v, g)[1]) / (1 + len(g))), "high values are as far"),
        (lambda v, g: (1 + place(v, g)[0]) / (1 + len(g)), "high values alone"),
        (lambda v, g: (1 + place(v, g)[1]) / (1 + len(g)), "low values alone"),
        (lambda v, g: min(1.0, 2 * (1 + min(place(v, g, lambda a, b: a > b))) / (1 + len(g))),
         "a tie counts"),
        (lambda v, g: 2 * (1 + min(place(v, g))) / (1 + len(g)), "1 at most"),
        (lambda v, g: math.erfc(abs(v - g.mean()) / g.std() / math.sqrt(2)), "trust no distribution"),
        (lambda v, g: min(1.0, 2 * (1 + max(place(v, g))) / (1 + len(g))), "not the larger"),
        (lambda v, g: 1 - p_value(v, g), "not 1 minus it"),
        (lambda v, g: p_value(v, g) < 0.05, "expected"),
        (lambda v, g: p_value(v, g.sort().values[1:-1]), "expected"),
        (lambda v, g: p_value(v, g.div_(1.0).round_()), "the arguments have changed"),
    ],
    "two_sided": [
        (auc, "that is the AUC itself: subtract"),
        (lambda a, b: 1 - auc(a, b), "the other way round"),
        (lambda a, b: auc(a, b) - 0.5, "lower scores tell"),
        (lambda a, b: 0.5 - auc(a, b), "higher scores tell"),
        (lambda a, b: abs((a[:, None] > b).double().mean().item() - 0.5), "as half, not as nothing"),
        (lambda a, b: abs((a[:, None] >= b).double().mean().item() - 0.5), "as half, not as a win"),
        (lambda a, b: abs(2 * auc(a, b) - 1), "without a factor of 2"),
        (lambda a, b: max(auc(a, b), 1 - auc(a, b)), "do not fold"),
        (lambda a, b: abs(a.mean() - b.mean()), "every a with every b"),
        (lambda a, b: (auc(a, b) - 0.5) ** 2, "not the square"),
        (lambda a, b: abs((a > b).double().mean() - 0.5), "RuntimeError in line"),
        (lambda a, b: abs((a[:, None] > b).double().mean(1) - 0.5), "return one number, not a tensor"),
        (lambda a, b: float((a.sort().values[len(a) // 2] > b.median()) / 2), "expected"),
    ],
}  # fmt: skip
