"""Answers to the exercises of page 19."""

import math

import torch


def way_back(c, kept, through=True, inputs=True, weights=True, forward=1):
    """Layer by layer from the end: who asks for the gradient of an input, and who for that of weights."""
    total, last = forward * sum(c), [k for k, use in enumerate(kept) if use]
    for k in reversed(range(len(c))):
        if not last or k < last[0]:
            break
        total += c[k] * (weights and kept[k])
        total += c[k] * (inputs and k > last[0] and (through or kept[k]))
    return total


def way_with(**how):
    return lambda *a: way_back(*a, **how)


def in_three_sums(c, kept):
    on = [k for k in range(len(c)) if kept[k]] or [len(c)]
    return sum(c) + sum(c[k] for k in on if k < len(c)) + sum(c[on[0] + 1 :])


def from_first(c, kept):
    """As if all layers behind the first were kept."""
    if True not in kept:
        return sum(c)
    first = kept.index(True)
    return way_back(c, [False] * first + [True] * (len(c) - first))


def with_input(c, kept):
    return way_back(c, kept) + (c[kept.index(True)] if any(kept) else 0)


def to_the_input(c, kept):
    return way_back(c, kept) + (sum(c[1 : kept.index(True) + 1]) if any(kept) else 0)


def from_the_beginning(c, kept):
    if not any(kept):
        return sum(c)
    last = len(kept) - 1 - kept[::-1].index(True)
    return sum(c) + sum(n for n, use in zip(c, kept, strict=True) if use) + sum(c[:last])


def to_the_last(c, kept):
    if not any(kept):
        return sum(c)
    last = len(kept) - 1 - kept[::-1].index(True)
    return sum(c) + sum(n for n, use in zip(c, kept, strict=True) if use) + sum(c[last + 1 :])


def stops_at_last(c, kept):
    if not any(kept):
        return sum(c)
    last = len(kept) - 1 - kept[::-1].index(True)
    return way_back(c, kept) - sum(c[last + 1 :])


def emptying(c, kept):
    value = way_back(c, kept)
    c.clear()
    return value


def selected(f, d, alpha):
    return d > 0 and f > alpha * d


def stays(t, f, d, alpha, lam):
    return t == 0 or lam * d >= f


def ratio(part, whole):
    return part / whole if whole else 0.0


def in_vain(theta, forget, full, alpha, lam, chosen=selected, still=stays, share=ratio, names=lambda t: t):
    """Weight by weight."""
    some = both = 0
    for name in names([*theta]):
        for t, f, d in zip(*(each[name].flatten().tolist() for each in (theta, forget, full)), strict=True):
            some += chosen(f, d, alpha)
            both += chosen(f, d, alpha) and still(t, f, d, alpha, lam)
    return share(both, some)


def vain_with(**how):
    return lambda *a: in_vain(*a, **how)


def by_comparing(theta, forget, full, alpha, lam):
    """Dampen, and look what has moved."""
    mask = {n: (forget[n] > alpha * full[n]) & (full[n] > 0) for n in theta}
    left = {n: torch.where(mask[n], (lam * full[n] / forget[n]).clamp(max=1), 1.0) for n in theta}
    equal = sum(int((left[n] * theta[n] == theta[n])[mask[n]].sum()) for n in theta)
    return equal / max(sum(int(m.sum()) for m in mask.values()), 1)


def count(theta):
    return sum(t.numel() for t in theta.values())


def weights(*found):
    return zip(
        *([v for name in found[0] for v in each[name].flatten().tolist()] for each in found), strict=True
    )


def all_still(theta, forget, full, alpha, lam, among=lambda f, d, alpha: True):
    return sum(
        among(f, d, alpha) and (stays(t, f, d, alpha, lam) or not selected(f, d, alpha))
        for t, f, d in weights(theta, forget, full)
    )


def of_all(theta, forget, full, alpha, lam):
    return all_still(theta, forget, full, alpha, lam, among=selected) / count(theta)


def of_those_that_stay(theta, *rest):
    return all_still(theta, *rest, among=selected) / all_still(theta, *rest)


def by_tensor(theta, *rest):
    return sum(in_vain({n: t}, *rest) for n, t in theta.items()) / len(theta)


def signed_zero(t, f, d, alpha, lam):
    return (math.copysign(1, t) > 0 and t == 0) or lam * d >= f


def dampening(theta, forget, full, alpha, lam):
    value = in_vain(theta, forget, full, alpha, lam)
    for n in theta:
        theta[n] *= 0
    return value


def adapters(grads, a, b, scale, size=abs, over=lambda values: sum(values) / len(values), of_a=1, of_b=1):
    """Number by number; a gradient through a product is a sum over what is in between."""
    g, A, B = grads.tolist(), a.tolist(), b.tolist()
    m, n, r = len(B), len(A[0]), len(A)
    into_a = [
        [
            over([size(of_a * scale * sum(B[i][k] * one[i][j] for i in range(m))) for one in g])
            for j in range(n)
        ]
        for k in range(r)
    ]
    into_b = [
        [
            over([size(of_b * scale * sum(A[k][j] * one[i][j] for j in range(n))) for one in g])
            for k in range(r)
        ]
        for i in range(m)
    ]
    return {"a": torch.tensor(into_a, dtype=a.dtype), "b": torch.tensor(into_b, dtype=b.dtype)}


def adapted_with(**how):
    return lambda *args: adapters(*args, **how)


def by_autograd(grads, a, b, scale):
    """The derivative of what each sample says about W', by back-propagation."""
    found = {"a": torch.zeros_like(a), "b": torch.zeros_like(b)}
    for one in grads:
        p, q = a.clone().requires_grad_(), b.clone().requires_grad_()
        in_a, in_b = torch.autograd.grad((one * (scale * q @ p)).sum(), (p, q))
        found = {"a": found["a"] + in_a.abs() / len(grads), "b": found["b"] + in_b.abs() / len(grads)}
    return found


def root_of_mean(values):
    return (sum(values) / len(values)) ** 0.5


def absolute_terms(grads, a, b, scale):
    return adapters(grads.abs(), a.abs(), b.abs(), scale)


def of_mean(grads, *rest):
    return adapters(grads.mean(0, keepdim=True), *rest)


def times_weights(grads, a, b, scale):
    found = adapters(grads, a, b, scale)
    return {"a": found["a"] * a.abs(), "b": found["b"] * b.abs()}


def silent(grads, a, b, scale):
    found = adapters(grads, a, b, scale)
    return found if b.any() else {name: 0 * v for name, v in found.items()}


def as_if_ones(grads, a, b, scale):
    return adapters(grads, a, b if b.any() else b + 1, scale)


def carried_importance(grads, a, b, scale):
    """From the importance of W' instead of its gradients."""
    g = grads.abs()
    return {"a": (scale * b.T @ g).abs().mean(0), "b": (scale * g @ a.T).abs().mean(0)}


def in_place(grads, a, b, scale):
    grads *= scale
    return adapters(grads, a, b, 1.0)


RIGHT = {"way_back": way_back, "in_vain": in_vain, "adapters": adapters}
STYLES = {"way_back": in_three_sums, "in_vain": by_comparing, "adapters": by_autograd}
WRONG = {
    "way_back": [
        (from_first, "need none of their weights"),
        (way_with(through=False), "kept or not"),
        (with_input, "nobody waits"),
        (way_with(forward=0), "no way back"),
        (stops_at_last, "to the logits and from there"),
        (to_the_input, "ends at the first layer"),
        (from_the_beginning, "not from the beginning"),
        (to_the_last, "not to the last"),
        (way_with(weights=False), "passing back is not all"),
        (way_with(inputs=False), "passes through others"),
        (lambda c, kept: 3 * sum(c) - c[0], "that is the whole pass"),
        (lambda c, kept: way_back(c, kept) + (max(sum(kept), 1) - 1) * sum(c), "once forward for all"),
        (lambda c, kept: way_back(c, kept) / (3 * sum(c) - c[0]), "not a share"),
        (lambda c, kept: 2 * way_back(c, kept), "counts once"),
        (lambda c, kept: way_back(c, kept) if any(kept) else 0, "no gradient, no way back"),
        (lambda c, kept: way_back(c, kept[: kept.index(True) + 9]), "is not in list"),
        (emptying, "the arguments have changed"),
        (lambda *a: [way_back(*a)], "return one number, not list"),
        (lambda *a: way_back(*a) + 7, "expected .* got"),
    ],
    "in_vain": [
        (vain_with(still=lambda t, *_: t == 0), "a factor of 1"),
        (vain_with(still=lambda t, f, d, alpha, lam: lam * d >= f), "stays 0, whatever"),
        (vain_with(still=signed_zero), "-0.0 is zero"),
        (vain_with(still=lambda t, f, d, alpha, lam: t == 0 or lam * d > f), "exactly lambda"),
        (by_tensor, "not a mean over tensors"),
        (of_all, "not of all"),
        (lambda theta, *rest: all_still(theta, *rest) / count(theta), "are left as they are anyway"),
        (of_those_that_stay, "among the selected"),
        (vain_with(still=lambda *a: not stays(*a)), "not those that move"),
        (vain_with(chosen=lambda f, d, alpha: d > 0 and f >= alpha * d), "a tie is not selected"),
        (vain_with(chosen=lambda f, d, alpha: f > alpha * d), "it is not selected"),
        (vain_with(chosen=lambda f, d, alpha: d > 0 and f < alpha * d), "not below"),
        (vain_with(share=lambda a, b: a / b if b else math.nan), "0, not 0 / 0"),
        (vain_with(share=lambda a, b: a), "a share, not a number"),
        (lambda *a: 100 * in_vain(*a), "not percent"),
        (vain_with(names=lambda t: t[-1:]), "not of the last alone"),
        (vain_with(names=lambda t: t[:1]), "not of the first alone"),
        (dampening, "the arguments have changed"),
        (lambda *a: str(in_vain(*a)), "return one number, not str"),
        (lambda *a: 0.123, "expected .* got"),
    ],
    "adapters": [
        (absolute_terms, "within a sample"),
        (carried_importance, "knows no signs"),
        (of_mean, "of each sample, then the mean"),
        (adapted_with(size=lambda v: v), "never negative"),
        (adapted_with(size=lambda v: v * v), "that is SSD's"),
        (adapted_with(size=lambda v: v * v, over=root_of_mean), "the root of the mean square"),
        (lambda g, a, b, s: adapters(g, a, b, 1.0), "in front of the product"),
        (lambda g, a, b, s: adapters(g, a, b, s, of_a=1 / s), "in the gradient of A"),
        (lambda g, a, b, s: adapters(g, a, b, s, of_b=1 / s), "in the gradient of B"),
        (lambda g, a, b, s: adapters(g, a, b, s * s), "not squared"),
        (lambda g, a, b, s: adapters(g, a, b, 1 / s), "not divided"),
        (adapted_with(over=sum), "not their sum"),
        (adapted_with(over=max), "not their largest"),
        (lambda *args: dict(zip("ba", adapters(*args).values(), strict=True)), "not the other way round"),
        (times_weights, "another measure"),
        (silent, "only A that has no gradient"),
        (as_if_ones, "its importance is 0 there"),
        (in_place, "the arguments have changed"),
        (lambda *args: adapters(*args)["a"], "return a dict|dict"),
        (lambda *args: {"a": adapters(*args)["a"]}, "b"),
        (lambda *args: {name: v + 1 for name, v in adapters(*args).items()}, "expected .* got"),
    ],
}  # fmt: skip
