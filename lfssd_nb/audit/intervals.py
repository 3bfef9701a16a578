"""Means over seeds with intervals."""

from collections.abc import Sequence

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
