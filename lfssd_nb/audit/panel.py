r"""The panel as an instrument: many metrics, one verdict, and a known rate of convicting the innocent.

For each of K metrics, n gold networks give a two-sided *prediction interval* for one more gold network,

.. math:: \bar x \pm t_{1 - a/2,\, n-1} \, s \sqrt{1 + 1/n}, \qquad a = (1 - \text{level}) / K,

Student's t because s is estimated, 1 + 1/n because the next network has its own spread beside the error of
the mean, and a divided by K (Bonferroni) because one failure of K convicts. If the metrics are normal over
training seeds, a further gold passes the whole panel with probability ``level`` at least, however the metrics
depend on each other. (The range of three golds convicts an honest fourth with probability 1/2 by each.)
Whether that holds for given metrics is measured: `pass_rate` lets every gold be judged by the others.

Ranks would need no normality, and more networks: a panel that convicts one honest network in twenty by the
largest of its K deviations needs 19 golds, and one that looks at K ranges separately 40 K - 1.

`how_many` turns it round: how many gold networks until a deviation of so many standard deviations is found?
Source: Hahn and Meeker, "Statistical Intervals", chapter 4 (prediction intervals); Clopper and Pearson 1934.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .arguments import check_rate, check_whole


@dataclass(frozen=True)
class Panel:
    """``low`` and ``high``: the ends of the intervals, a value a metric, from ``n`` gold networks; ``middle``
    their means, ``spread`` their standard deviations, ``reach`` half an interval in units of the spread."""

    low: pd.Series
    high: pd.Series
    middle: pd.Series
    spread: pd.Series
    reach: float
    n: int

    def verdicts(self, table: pd.DataFrame) -> pd.DataFrame:
        """``low``, ``high`` or ``pass`` for each network (row) and metric (column); ``low`` for NaN too.
        Raises ``ValueError`` for a metric that is missing."""
        values = self._mine(table)
        said = pd.DataFrame("pass", values.index, values.columns)
        return said.mask(~(values >= self.low), "low").mask(values > self.high, "high")

    def passes(self, table: pd.DataFrame) -> pd.Series:
        """Whether each network (row) is inside all intervals."""
        return (self.verdicts(table) == "pass").all(axis=1)

    def deviations(self, table: pd.DataFrame) -> pd.DataFrame:
        """Distances from the golds' mean in their standard deviations; beyond +-``reach`` is outside."""
        return (self._mine(table) - self.middle) / self.spread

    def _mine(self, table: pd.DataFrame) -> pd.DataFrame:
        if missing := [name for name in self.low.index if name not in table]:
            raise ValueError(f"the panel judges by {', '.join(missing)}, and the table has no such column")
        return table[self.low.index].astype(float)


def reach(n: int, n_metrics: int, level: float = 0.95) -> float:
    """Half of a prediction interval in standard deviations of n golds, corrected for ``n_metrics``."""
    check_whole("n", n, 2)
    check_whole("n_metrics", n_metrics, 1)
    check_rate("level", level)
    return float(stats.t.ppf(1 - (1 - level) / n_metrics / 2, n - 1) * math.sqrt(1 + 1 / n))


def panel(golds: pd.DataFrame, level: float = 0.95, steps: Mapping[str, float] | None = None) -> Panel:
    """The intervals of a table of gold networks: a row a network, a column a metric.

    steps: the smallest change that a metric can make (an accuracy on 41 images moves by 100 / 41). Golds that
    all agree do not show that the next one will: the spread of such a metric is taken to be a step at least.
    Raises ``ValueError`` for fewer than three golds, for a metric that is not finite for all of them, and for
    one that is the same for all and has no step.
    """
    if len(golds) < 3:
        raise ValueError(
            f"{len(golds)} gold networks have no spread to speak of: train three, better ten or more"
        )
    values = golds.astype(float)
    if bad := [name for name in values if not values[name].abs().lt(math.inf).all()]:
        raise ValueError(f"{bad[0]!r} is not finite for every gold network: leave it out of the panel")
    least = pd.Series(steps or {}, dtype=float).reindex(values.columns).fillna(0.0)
    spread = values.std().clip(lower=least)
    if flat := [name for name in values if not spread[name] > 0]:
        raise ValueError(f"all golds agree on {flat[0]!r}: give its step in steps=, or leave it out")
    half, middle = reach(len(values), values.shape[1], level), values.mean()
    return Panel(middle - half * spread, middle + half * spread, middle, spread, half, len(values))


@dataclass(frozen=True)
class PassRate:
    """``passed`` of ``n`` held-out golds; ``rate`` with its 95 % interval (Clopper and Pearson)."""

    passed: int
    n: int

    @property
    def rate(self) -> float:
        return self.passed / self.n

    @property
    def interval(self) -> tuple[float, float]:
        found = stats.binomtest(self.passed, self.n).proportion_ci(0.95, "exact")
        return float(found.low), float(found.high)


def left_out(
    golds: pd.DataFrame, level: float = 0.95, steps: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """The `Panel.verdicts` of every gold, each by the panel of the others: a row a gold. Needs four."""
    rows = [panel(golds.drop(index=name), level, steps).verdicts(golds.loc[[name]]) for name in golds.index]
    return pd.concat(rows)


def pass_rate(golds: pd.DataFrame, level: float = 0.95, steps: Mapping[str, float] | None = None) -> PassRate:
    """How often a held-out gold passes the whole panel of the others (`left_out`): should be ``level``.

    The n trials share golds, so that the interval, for independent ones, is somewhat too narrow.
    """
    passed = (left_out(golds, level, steps) == "pass").all(axis=1)
    return PassRate(int(passed.sum()), len(passed))


def power(deviation: float, n: int, n_metrics: int = 1, level: float = 0.95) -> float:
    """Probability that n golds convict a network of the same spread whose metric lies ``deviation`` standard
    deviations away from gold's mean: a non-central t."""
    unit = math.sqrt(1 + 1 / n)
    shift, limit = deviation / unit, reach(n, n_metrics, level) / unit
    s = np.sqrt(stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, n - 1) / (n - 1))  # scipy's nct can give NaN
    return float((stats.norm.sf(limit * s - shift) + stats.norm.cdf(-limit * s - shift)).mean())


def how_many(
    deviation: float, n_metrics: int = 1, level: float = 0.95, sure: float = 0.8, most: int = 10_000
) -> float:
    """The least number of golds, from three on, with which `power` is ``sure``.

    Infinite if ``most`` are too few: a network near enough to gold is never found, since its own spread does
    not go away."""
    check_rate("sure", sure)
    if power(deviation, most, n_metrics, level) < sure:
        return math.inf
    low, high = 2, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(deviation, middle, n_metrics, level) >= sure else (middle, high)
    return float(max(high, 3))
