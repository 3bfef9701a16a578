"""Means over seeds and paired differences, with intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t


def mean_and_interval(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    r"""``mean``, ``half`` (of the 95 % interval) and ``n`` of a column, per group.

    :math:`\bar v \pm t_{0.975,\,n-1}\, s / \sqrt n`: for a handful of seeds Student's t, not 1.96. With one
    value there is no interval (NaN).
    """
    groups = table.groupby(list(by), sort=False)[value]
    n = groups.count()
    half = t.ppf(0.975, (n - 1).clip(lower=1)) * groups.std() / n**0.5
    return pd.DataFrame({"mean": groups.mean(), "half": half, "n": n})


def interval(values: pd.Series) -> pd.Series:
    """``mean``, ``half`` and ``n`` as of `mean_and_interval`, of one value for each network."""
    return mean_and_interval(pd.DataFrame({"value": values, "group": 0}), ["group"], "value").iloc[0]


def jackknife(left_out: Sequence[float]) -> float:
    r"""Half of the 95 % interval of an estimate that takes all n networks at once, as KLOM does.

    left_out: the estimates :math:`\theta_i` without network i. The half is
    :math:`t_{0.975,\,n-1} \sqrt{\frac{n-1}{n} \sum_i (\theta_i - \bar\theta)^2}`; for a mean exactly that of
    `mean_and_interval`. NaN for fewer than two. Source: Efron and Stein, "The jackknife estimate of
    variance" (1981).
    """
    values = np.asarray(left_out, dtype=float)
    n = len(values)
    if n < 2:
        return float("nan")
    return float(t.ppf(0.975, n - 1) * np.sqrt((n - 1) * values.var()))


def paired_differences(
    table: pd.DataFrame,
    value: str,
    to: str,
    *,
    of: str = "label",
    cluster: str = "seed",
    within: str = "target",
    by: Sequence[str] = (),
) -> pd.DataFrame:
    r"""How far every group ``of`` lies from the group ``to``, by pairs, with intervals that hold together.

    Each row of a group is paired with the row of ``to`` of the same ``cluster`` and ``within`` (and ``by``:
    separate comparisons). What shares a cluster shares a network and counts once:
    :math:`d_c` is the mean difference over ``within``, and with n clusters

    .. math:: \bar d \pm t_{1-q/2,\,n-1}\, s_d / \sqrt n,

    ``half`` with :math:`q = 0.05`, ``joint`` with :math:`q = 0.05 / m` for all m comparisons of the result
    (Bonferroni: all m intervals hold together in 95 % of studies). Columns: ``mean``, ``half``, ``joint``,
    ``p`` (of the t test), ``holm`` (corrected for m), ``detectable``, the difference that n clusters with
    this spread would find to be none of chance, by ``joint``, in four studies of five; ``n``.

    NaN with one cluster. Raises ``ValueError`` if ``to`` is missing or rows cannot be paired one to one.
    """
    unit = [*by, cluster, within]
    if to not in {*table[of]}:
        known = ", ".join(map(str, table[of].unique()))
        raise ValueError(f"no row has {of}={to!r} to compare with; choose one of {known}")
    if (twice := table.duplicated([*unit, of])).any():
        found = table[of][twice].iloc[0]
        raise ValueError(f"{of}={found!r} has two rows for one {cluster} and {within}: choose one of them")
    base, others = table[table[of] == to][[*unit, value]], table[table[of] != to]
    pairs = others.merge(base, "left", unit, suffixes=("", " there"), indicator="pair")
    if (alone := pairs.pair != "both").any():
        where = pairs.loc[alone, unit].iloc[0].to_dict()
        raise ValueError(f"{to!r} has no row to pair with at {where}: leave those rows out")
    pairs["apart"] = pairs[value] - pairs[f"{value} there"]
    groups = [*by, of]
    each = pairs.groupby([*groups, cluster], sort=False).apart.mean().groupby(level=groups, sort=False)
    n, mean = each.count(), each.mean()
    free, error, m = (n - 1).clip(lower=1), each.std() / n**0.5, len(n)
    strict = t.ppf(1 - 0.025 / m, free)
    p = pd.Series(2 * t.sf((mean / error).abs(), free), n.index)
    ranked = p.sort_values()
    holm = (ranked * [*range(m, 0, -1)]).clip(upper=1).cummax()
    found = pd.DataFrame({"mean": mean, "half": t.ppf(0.975, free) * error, "joint": strict * error, "p": p})
    return found.assign(holm=holm, detectable=(strict + t.ppf(0.8, free)) * error, n=n)
