"""Answers to the exercises of page 15."""

import itertools
import math

import torch


def norms(z):
    return [row.square().sum().item() ** 0.5 for row in z]


def norm_bounds(
    ratio, z_f, z_r, lengths=norms, divide=lambda s, v: s / v, pick=itertools.product, order=(min, max)
):
    """By the worst cases: all of the derivatives in one sample of D_f and in one of D_r."""
    n_f, n = len(z_f), len(z_f) + len(z_r)
    in_f, in_r = ([v for v in lengths(z) if v > 0] for z in (z_f, z_r))
    found = []
    for value in ratio.tolist():
        s_f = value * n_f / n  # of a sum over D that is 1
        sums = [(divide(s_f, a), divide(1 - s_f, b)) for a, b in pick(in_f, in_r)]
        of = [n / n_f * f / (f + r) for f, r in sums]
        found.append([each(of) for each in order])
    return tuple(torch.tensor(found, dtype=torch.float64).T)


def bounds_with(**how):
    return lambda *a: norm_bounds(*a, **how)


def in_one_line(ratio, z_f, z_r):
    c, f, r = 1 + len(z_r) / len(z_f), z_f.norm(dim=1), z_r.norm(dim=1)
    f, r = f[f != 0], r[r != 0]
    return tuple(c * ratio / (ratio + (c - ratio) * t) for t in (f.amax() / r.amin(), f.amin() / r.amax()))


def odds(
    ratio, z_f, z_r, c=lambda f, r: 1 + r / f, end=lambda q, c: c / (1 + q),
    low=lambda f, r: max(f) / min(r), high=lambda f, r: min(f) / max(r),
):  # fmt: skip
    c = c(len(z_f), len(z_r))
    f, r = ([v for v in norms(z) if v > 0] for z in (z_f, z_r))
    return end((c / ratio - 1) * low(f, r), c), end((c / ratio - 1) * high(f, r), c)


def odds_with(**how):
    return lambda *a: odds(*a, **how)


def factors(ratio, z_f, z_r, with_f=True, most=math.inf):
    f, r = ([v for v in norms(z) if v > 0] for z in (z_f, z_r))
    d = f + r if with_f else r
    return ratio * min(d) / max(f), (ratio * max(d) / min(f)).clamp(max=most)


def capped(ratio, z_f, z_r):
    return factors(ratio, z_f, z_r, most=1 + len(z_r) / len(z_f))


def zeros_count_out(ratio, z_f, z_r):
    return norm_bounds(ratio, z_f[z_f.any(1)], z_r[z_r.any(1)])


def zeros_bound(ratio, z_f, z_r):
    f, r = torch.tensor(norms(z_f)), torch.tensor(norms(z_r))
    q = (1 + len(z_r) / len(z_f)) / ratio - 1
    c = 1 + len(z_r) / len(z_f)
    return c / (1 + q * (f.max() / r.min()).double()), c / (1 + q * (f.min() / r.max()).double())


def mean_lengths(f, r):
    return [(sum(f) / len(f), sum(r) / len(r))]


def all_lengths(f, r):
    return itertools.product([min(f + r), max(f + r)], repeat=2)


def sorted_ratio(ratio, z_f, z_r):
    return norm_bounds(ratio.sort().values, z_f, z_r)


def widening(ratio, z_f, z_r):
    z_f += 1e-3
    return norm_bounds(ratio, z_f, z_r)


def four(gaps):
    return gaps[..., 1, 1] - gaps[..., 1, 0], gaps[..., 0, 1] - gaps[..., 0, 0]


def average(values):
    return sum(values) / len(values)


def interaction(
    gaps, of=lambda a, b, c, d: (d - c) - (b - a), requests=lambda v: [average(v)] if v else [],
    n=lambda each: len(each) - 1, mean=average,
):  # fmt: skip
    """Network by network and request by request."""
    each = []
    for network in gaps.tolist():
        flat = [[*power[0], *power[1]] for power in network]
        each += requests([of(*four) for four in flat if not any(map(math.isnan, four))])
    middle = average(each)
    sd = (sum((v - middle) ** 2 for v in each) / n(each)) ** 0.5 if n(each) else math.nan
    return mean(each), sd / len(each) ** 0.5


def effect_with(**how):
    return lambda *a: interaction(*a, **how)


def by_costs(gaps):
    """With NaN, which spreads over a request by itself."""
    squares, plain = four(gaps)
    each = (squares - plain).nanmean(1)
    each = each[~each.isnan()]
    return each.mean(), each.std() / len(each) ** 0.5


def by_networks(gaps):
    """Those with a complete request."""
    return [network for network in gaps if network.isfinite().flatten(1).all(1).any()]


def both(gaps, of):
    mean, error = interaction(gaps)
    return of(mean, error)


def unpaired(gaps):
    return interaction(gaps.nanmean(1, keepdim=True))


def pooled_mean(gaps):
    return interaction(gaps, requests=list)[0], interaction(gaps)[1]


def pooled_error(gaps):
    return interaction(gaps)[0], interaction(gaps, requests=list)[1]


def full_networks(gaps):
    return interaction(gaps[gaps.isfinite().flatten(1).all(1)])


def spreading(gaps):
    squares, plain = four(gaps)
    each = (squares - plain).mean(1)
    return each.mean(), each.std() / len(each) ** 0.5


def an_empty_one(gaps):
    squares, plain = four(gaps)
    each = (squares - plain).nanmean(1)
    return each.mean(), each.std() / len(each) ** 0.5


def filling(gaps):
    gaps[gaps.isnan()] = 0.0
    return interaction(gaps)


def probes_needed(
    found, error, df=1, own=True, square=lambda s: s * s, least=1, up=math.ceil, none=math.inf, more=0.0
):
    """Weight by weight."""
    m, noise, length = len(found), 0.0, 0.0
    for column in found.T.tolist():
        mean = sum(column) / m
        noise += sum((v - mean) ** 2 for v in column) / (m - df)
        length += mean**2
    length -= noise / m if own else 0.0
    return max(least, up(noise / length / square(error) - more * m)) if length > 0 else none


def probes_with(**how):
    return lambda *a: probes_needed(*a, **how)


def one_more(found, error):
    """From pairs of probes; then one probe after the other until there are enough."""
    m = len(found)
    noise = sum(float((a - b).square().sum()) for a, b in itertools.combinations(found, 2)) / (m * (m - 1))
    cross = sum(float(a @ b) for a, b in itertools.permutations(found, 2)) / (m * (m - 1))
    if cross <= 0:
        return torch.inf
    k = 1
    while (noise / k) ** 0.5 > error * cross**0.5:
        k += 1
    return k


def from_moments(found, error, noise, length, up=math.ceil):
    noise, mean = noise(found), found.mean(0)
    length = float(length(mean, noise, len(found)))
    return max(1, up(float(noise) / length / error**2)) if length > 0 else math.inf


def noise_of(found):
    return found.var(0).sum()


def usual(mean, noise, m):
    return mean @ mean - noise / m


def of_weights(found, error):
    return max(probes_needed(found[:, [k]], error) for k in range(found.shape[1]))


def negative(found, error):
    noise, mean = found.var(0).sum(), found.mean(0)
    found = math.ceil(noise / (mean @ mean - noise / len(found)) / error**2)
    return found if found < 0 else max(1, found)


RIGHT = {"norm_bounds": norm_bounds, "interaction": interaction, "probes_needed": probes_needed}
STYLES = {"norm_bounds": in_one_line, "interaction": by_costs, "probes_needed": one_more}
WRONG = {
    "norm_bounds": [
        (factors, "makes that of D smaller"),
        (capped, "not yet the tightest"),
        (lambda *a: factors(*a, with_f=False), "D_f as well, not D_r"),
        (bounds_with(divide=lambda s, v: s * v), "not multiplied"),
        (bounds_with(lengths=lambda z: [v**2 for v in norms(z)]), "the length, not its square"),
        (bounds_with(lengths=lambda z: z.abs().sum(1).tolist()), "not the sum of absolute"),
        (bounds_with(order=(max, min)), "first the lower"),
        (zeros_bound, "its length bounds nothing"),
        (zeros_count_out, "still counts in N"),
        (odds_with(c=lambda f, r: r / f), "into N, not into N_r"),
        (odds_with(c=lambda f, r: f / (f + r)), "not N_f / N"),
        (odds_with(c=lambda f, r: 1.0), "means into sums"),
        (bounds_with(pick=mean_lengths), "not the mean ones"),
        (odds_with(low=lambda f, r: max(f) / max(r), high=lambda f, r: min(f) / min(r)), "from its longest"),
        (bounds_with(pick=all_lengths), "lengths of their own"),
        (odds_with(low=lambda f, r: max(f) * len(r) / sum(r), high=lambda f, r: min(f) * len(r) / sum(r)),
         "D_r vary as well"),
        (odds_with(low=lambda f, r: sum(f) / len(f) / min(r), high=lambda f, r: sum(f) / len(f) / max(r)),
         "D_f vary as well"),
        (odds_with(end=lambda q, c: c / q), "that over D_f and that over D_r"),
        (odds_with(end=lambda q, c: (c - 1) / q), r"not I\(D_f\) / I\(D_r\)"),
        (odds_with(end=lambda q, c: 1 / (1 + q)), "times N / N_f"),
        (widening, "the arguments have changed"),
        (lambda *a: norm_bounds(*a)[0], "return 2 things"),
        (lambda *a: torch.stack(norm_bounds(*a)), "return 2 things"),
        (lambda *a: [v.mean() for v in norm_bounds(*a)], "expected the shape"),
        (lambda z, *rest: (z, z), "expected .* got"),
        (sorted_ratio, "expected .* got"),
    ],
    "interaction": [
        (effect_with(of=lambda a, b, c, d: (b + d - a - c) / 2), "batch means cost on average"),
        (effect_with(of=lambda a, b, c, d: (c + d - a - b) / 2), "squares cost on average"),
        (lambda g: by_costs(torch.stack([0 * g[..., 0, :], g[..., 1, :]], 2)), "subtract what they cost"),
        (lambda g: by_costs(torch.stack([0 * g[..., 1, :], g[..., 0, :]], 2)), "cost with squares"),
        (lambda g: by_costs(torch.stack([g[..., 0, [0, 0]], g[..., [0, 1], [0, 1]]], 2)), "four are needed"),
        (effect_with(of=lambda a, b, c, d: b - a - d + c), "not the other way round"),
        (lambda g: both(g, lambda m, e: (m / 2, e / 2)), "not half of it"),
        (effect_with(of=lambda a, b, c, d: abs(d - c - b + a)), r"no \|.\|"),
        (effect_with(of=lambda a, b, c, d: d - c + b - a), "subtract them"),
        (effect_with(of=lambda a, b, c, d: (d - c) / (b - a)), "how many times"),
        (effect_with(requests=list), "average them first"),
        (pooled_mean, "in the mean, too"),
        (unpaired, "lacks one of the four"),
        (spreading, "leave that request out"),
        (lambda g: interaction(g.nan_to_num(0.0)), "no gap of 0"),
        (effect_with(requests=lambda v: [average(v)] if v else [0.0]), "no difference of 0"),
        (an_empty_one, "a network is NaN"),
        (effect_with(n=len), "divide by n - 1"),
        (lambda g: both(g, lambda m, e: (m, e * len(by_networks(g)) ** 0.5)), "over the root of n"),
        (lambda g: both(g, lambda m, e: (m, e**2)), "not the variance"),
        (lambda g: both(g, lambda m, e: (m, e / len(by_networks(g)) ** 0.5)), "the root of n, not n"),
        (pooled_error, "not of requests"),
        (lambda g: both(g, lambda m, e: (m, 1.96 * e)), "not half of an interval"),
        (effect_with(mean=lambda each: sorted(each)[(len(each) - 1) // 2]), "not the median"),
        (lambda g: interaction(g)[::-1], "first the mean"),
        (filling, "the arguments have changed"),
        (lambda g: interaction(g)[0], "return 2 things"),
        (lambda g: by_costs(g)[0].repeat(2), "return 2 things"),
        (lambda g: (str(interaction(g)[0]), interaction(g)[1]), "return one number, not str"),
        (lambda g: (interaction(g)[0], 0), "expected .* got"),
    ],
    "probes_needed": [
        (probes_with(own=False), "subtract what it adds"),
        (lambda *a: from_moments(*a, noise_of, lambda d, s, m: d @ d + s / m), "subtract it, not add"),
        (lambda *a: from_moments(*a, noise_of, lambda d, s, m: d @ d - s), "noise of one divided by m"),
        (probes_with(df=0), "variances with m - 1"),
        (lambda *a: from_moments(*a, lambda f: f.square().mean(0).sum(), usual), "take variances"),
        (probes_with(square=lambda e: e), "goes with the square"),
        (probes_with(square=lambda e: e**-2), "needs more probes"),
        (lambda *a: from_moments(*a, lambda f: f.std(0).sum() ** 2, usual), "not standard deviations"),
        (lambda *a: from_moments(*a, lambda f: f.var(0).mean(), lambda d, s, m: d @ d - 6 * s / m),
         "a sum beside a sum"),
        (lambda *a: from_moments(*a, noise_of, lambda d, s, m: d.sum() ** 2 - s / m), "not to its sum"),
        (lambda *a: from_moments(*a, lambda f: 6 * f.flatten().var(), usual), "variances over probes"),
        (of_weights, "not that of the worst weight"),
        (probes_with(up=math.floor), "round up$"),
        (probes_with(up=round), "to the nearest"),
        (probes_with(least=0), "one probe at least"),
        (probes_with(up=float, least=0.0), "a whole number"),
        (probes_with(more=1.0, least=0), "not how many more"),
        (probes_with(up=lambda m: math.ceil(m**0.5)), "no further root"),
        (probes_with(none=1), "no number is enough"),
        (probes_with(none=math.nan), "not unknown"),
        (negative, "no diagonal"),
        (lambda found, error: probes_needed(found.mul_(2), error), "the arguments have changed"),
        (lambda *a: torch.tensor([probes_needed(*a)]), "return one number, not a tensor"),
        (lambda *a: {"probes": probes_needed(*a)}, "return one number, not dict"),
        (lambda found, error: math.ceil(1 / error**2), "expected .* got"),
    ],
}  # fmt: skip
