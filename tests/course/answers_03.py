"""Answers to the exercises of page 03."""

import torch


def rule(mask, factor=lambda f, d, lam: torch.minimum(lam * d / f, torch.ones_like(f))):
    return lambda t, f, d, a, lam: torch.where(mask(f, d, a), t * factor(f, d, lam), t)


def above(f, d, a):
    return (f > a * d) & (d > 0)


def in_place(t, f, d, a, lam):
    t *= torch.where(above(f, d, a), (lam * d / f).clamp(max=1), 1.0)
    return t


def smallest_alpha(i_f, i_d, count):
    ratios = sorted(((i_f / i_d)[i_d > 0]).tolist(), reverse=True)
    return ratios[count] if count < len(ratios) else 0.0


def falling(i_f, i_d, count):
    kept = (i_f / i_d)[i_d > 0].sort(descending=True).values
    return kept, count


def whole_rows(theta, i_f, i_d, alpha, lam):
    new = theta.clone()
    for row in range(len(theta)):
        f, d = i_f[row].mean(), i_d[row].mean()
        if d > 0 and f > alpha * d:
            new[row] *= min(float(lam * d / f), 1.0)
    return new


def rows_by(gather, mask=above, factor=lambda f, d, lam: (lam * d / f).clamp(max=1)):
    return lambda t, f, d, a, lam: rule(mask, factor)(t, gather(f), gather(d), a, lam)


def mean_of(v):
    return v.mean(1, keepdim=True)


def rows_in_place(theta, i_f, i_d, alpha, lam):
    theta.copy_(whole_rows(theta, i_f, i_d, alpha, lam))
    return theta


def some(which):
    def answer(t, f, d, a, lam):
        row = which(above(f, d, a), 1)[:, None]
        return torch.where(row, t * (lam * mean_of(d) / mean_of(f)).clamp(max=1), t)

    return answer


def back(mask, factor=lambda f, d, lam: (lam * d / f).clamp(max=1)):
    return lambda new, f, d, a, lam: torch.where(mask(f, d, a), new / factor(f, d, lam), new)


def one_by_one(new, i_f, i_d, alpha, lam):
    for k in range(len(new)):
        if i_d[k] > 0 and i_f[k] > alpha * i_d[k]:
            new[k] /= min(lam * i_d[k] / i_f[k], 1)
    return new


RIGHT = {
    "alpha_for": smallest_alpha,
    "dampened_rows": whole_rows,
    "undone": back(above),
    "dampened": rule(above),
}
WRONG = {
    "alpha_for": [
        (lambda f, d, n: smallest_alpha(f, d, n - 1) if n else smallest_alpha(f, d, n),
         "the next ratio is enough"),
        (lambda f, d, n: (f / d).sort(descending=True).values[n].item() if n < len(f) else 0.0,
         "leave them out"),
        (lambda f, d, n: [*(f / d).nan_to_num(0, posinf=float("inf")).sort(descending=True).values, 0.0][n],
         "leave them out|leave weights with I_D = 0 out"),
        (lambda f, d, n: [*(f / d)[d > 0].sort().values, 0.0][n] if n < 40 else 0.0, "sort downwards"),
        (lambda f, d, n: [*f.sort(descending=True).values, 0.0][n], "not I_F alone"),
        (lambda f, d, n: (smallest_alpha(f, d, max(n - 1, 0)) + smallest_alpha(f, d, n)) / 2,
         "the lower one"),
        (lambda f, d, n: [*sorted({*(f / d)[d > 0].tolist()}, reverse=True), 0.0, 0.0][n],
         "of different ratios"),
        (lambda f, d, n: int(above(f, d, smallest_alpha(f, d, n)).sum()), "not the number of weights"),
        (lambda f, d, n: smallest_alpha(f, d, len(f) - n), "not how many are left"),
        (lambda f, d, n: [*(d / f)[d > 0].sort(descending=True).values, 0.0][n], "the ratio is I_F / I_D"),
        (lambda f, d, n: (f / d)[d > 0].topk(min(n + 1, int((d > 0).sum()))).values[-1], "alpha is 0"),
        (lambda f, d, n: falling(f, d, n)[0][n], "IndexError in line"),
        (lambda f, d, n: falling(f, d, n)[0][:n], "return one number, not a tensor"),
        (lambda f, d, n: (f / d)[d > 0].quantile(1 - n / len(f)), "expected .* got"),
        (lambda f, d, n: smallest_alpha(f, d.clamp_(min=1e-9), n), "the arguments have changed"),
        (lambda f, d, n: falling(f, d, n)[0].unique() if n else None, "return one number|nothing came back"),
    ],
    "dampened_rows": [
        (rule(above), "not weight by weight"),
        (rows_by(lambda v: v.mean(0)), "average over dimension 1"),
        (rows_by(lambda v: v.mean()), "not one for the matrix"),
        (lambda t, f, d, a, lam: torch.where(
            mean_of(f / d) > a, t * (lam / mean_of(f / d)).clamp(max=1), t),
         "not the mean of its weights' ratios"),
        (some(torch.any), "not whether one of its weights"),
        (some(torch.all), "not whether all of its weights"),
        (rows_by(lambda v: v.max(1, keepdim=True).values), "not its largest"),
        (lambda t, f, d, a, lam: torch.where(
            above(mean_of(f), mean_of(d), a), t * (lam * d / f).clamp(max=1), t),
         "the row has one factor"),
        (rows_by(mean_of, factor=lambda f, d, lam: lam * d / f), "no weight may grow"),
        (rows_by(mean_of, factor=lambda f, d, lam: (d / f).clamp(max=1)), "has lambda in it"),
        (rows_by(mean_of, lambda f, d, a: f > a * d), "keeps its values"),
        (rows_by(mean_of, lambda f, d, a: (f >= a * d) & (d > 0)), "a tie is not selected"),
        (rows_by(mean_of, lambda f, d, a: d > 0), "all others keep their values"),
        (rows_in_place, "the arguments have changed"),
        (lambda t, f, d, a, lam: whole_rows(t, f, d, a, lam).T, "expected"),
        (rows_by(lambda v: v.mean(1)), "RuntimeError in line|expected"),
        (lambda *a: whole_rows(*a).tolist(), "return a tensor, not list"),
    ],
    "undone": [
        (rule(above), "dampens once more"),
        (back(lambda f, d, a: d > 0), "are as they were"),
        (back(above, lambda f, d, lam: lam * d / f), "must not shrink now"),
        (back(above, lambda f, d, lam: (d / f).clamp(max=1)), "had lambda in it"),
        (lambda new, f, d, a, lam: torch.where(above(f, d, a), new * a, new), "is not in the factor"),
        (lambda new, f, d, a, lam: torch.where(above(f, d, a), new * lam * d / f, new),
         "not by its inverse|once more"),
        (back(lambda f, d, a: f > a * d), "not a division by 0"),
        (back(lambda f, d, a: (f >= a * d) & (d > 0)), "a tie was not selected"),
        (lambda new, *how: new, "nothing is undone"),
        (lambda new, f, d, a, lam: new / (lam * d / f).clamp(max=1), "are as they were|expected"),
        (one_by_one, "the arguments have changed"),
        (lambda *a: back(above)(*a).abs(), "expected .* got"),
        (lambda *a: back(above)(*a)[None], "expected the shape"),
        (lambda *a: back(above)(*a).tolist(), "return a tensor, not list"),
        (lambda new, f, d, a, lam: {"weight": back(above)(new, f, d, a, lam)}, "return a tensor, not dict"),
    ],
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
