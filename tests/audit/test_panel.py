"""The panel: does it acquit the innocent as often as it says, and convict as often as it says?"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lfssd_nb.audit import panel


def golds(n, k, seed=0, common=0.0):
    """n gold networks with k normal metrics that share a part."""
    rng = np.random.default_rng(seed)
    values = common * rng.normal(size=(n, 1)) + math.sqrt(1 - common**2) * rng.normal(size=(n, k))
    return pd.DataFrame(7 + 3 * values, columns=[f"m{i}" for i in range(k)])


def test_the_interval_of_one_metric_by_hand():
    values = pd.DataFrame({"m": [1.0, 2.0, 4.0, 5.0, 8.0]})
    mean, s = 4.0, math.sqrt((9 + 4 + 0 + 1 + 16) / 4)
    half = 2.7764451 * s * math.sqrt(6 / 5)  # t at 0.975 with 4 degrees of freedom
    found = panel.panel(values)
    assert (found.low.m, found.high.m) == pytest.approx((mean - half, mean + half))
    assert found.reach == pytest.approx(half / s) and found.n == 5
    table = pd.DataFrame({"m": [mean - half - 0.01, mean + half - 0.01, mean + half + 0.01, math.nan]})
    assert found.verdicts(table).m.tolist() == ["low", "pass", "high", "low"]
    assert found.passes(table).tolist() == [False, True, False, False]
    assert found.deviations(table).m[1] == pytest.approx((half - 0.01) / s)


@pytest.mark.parametrize(("n", "k", "common"), [(10, 1, 0), (10, 9, 0), (20, 9, 0.9)])
def test_a_further_gold_passes_at_least_as_often_as_it_should(n, k, common):
    """300 audits of an honest network. Bonferroni: never less than 95 %, and exactly so for one metric."""
    passed = 0
    for seed in range(300):
        all_ = golds(n + 1, k, seed, common)
        passed += bool(panel.panel(all_[:n]).passes(all_[n:]).item())
    slack = 3 * math.sqrt(0.95 * 0.05 / 300)
    assert passed / 300 > 0.95 - slack
    if k == 1:
        assert passed / 300 < 0.95 + slack


def test_the_range_of_three_convicts_every_second_honest_network():
    """What the page warns of, and what Student's t with three networks does not do."""
    out = inside = 0
    for seed in range(200):
        m = golds(4, 1, seed).m0
        out += not m[:3].min() <= m[3] <= m[:3].max()
        inside += bool(panel.panel(golds(4, 1, seed)[:3]).passes(golds(4, 1, seed)[3:]).item())
    assert out / 200 == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(200))
    assert inside / 200 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 200))


def test_every_gold_is_judged_by_the_others():
    table = golds(6, 2, seed=3)
    table.loc[4, "m1"] += 1000
    said = panel.left_out(table)
    assert said.loc[4].tolist() == ["pass", "high"] and list(said.index) == list(table.index)
    for i in range(6):
        others = table.drop(index=i)
        assert said.loc[i].equals(panel.panel(others).verdicts(table.loc[[i]]).loc[i])
    found = panel.pass_rate(table)
    assert (found.passed, found.n, found.rate) == (5, 6, 5 / 6)
    low, high = found.interval
    assert low == pytest.approx(stats.beta.ppf(0.025, 5, 2)) and high == pytest.approx(
        stats.beta.ppf(0.975, 6, 1)
    )


def test_golds_that_agree_have_the_spread_of_a_step():
    table = pd.DataFrame({"acc": [98.0] * 10})
    found = panel.panel(table, steps={"acc": 0.25, "other": 3.0})
    assert found.spread.acc == 0.25 and found.passes(pd.DataFrame({"acc": [98.25, 90.0]})).tolist() == [
        True,
        False,
    ]
    wide = pd.DataFrame({"acc": [90.0, 98.0, 94.0]})
    assert panel.panel(wide, steps={"acc": 0.25}).spread.acc == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (golds(2, 1), "2 gold networks have no spread"),
        (golds(5, 2).assign(m1=[1, 2, math.inf, 4, 5]), "'m1' is not finite"),
        (golds(5, 2).assign(m1=3.0), "all golds agree on 'm1'"),
    ],
)
def test_what_no_panel_can_be_made_of(table, message):
    with pytest.raises(ValueError, match=message):
        panel.panel(table)


def test_a_missing_metric_is_named():
    with pytest.raises(ValueError, match="judges by m1, and the table has no such column"):
        panel.panel(golds(5, 2)).passes(golds(5, 1))


@pytest.mark.parametrize(("deviation", "n", "k"), [(0.0, 10, 1), (4.0, 10, 1), (5.0, 10, 9), (-5.0, 20, 9)])
def test_the_power_is_how_often_such_a_network_is_convicted(deviation, n, k):
    """By one metric of k; 4,000 audits."""
    rng, limit = np.random.default_rng(0), panel.reach(n, k)
    x = rng.normal(size=(4000, n))
    suspect = rng.normal(size=4000) + deviation
    convicted = np.abs(suspect - x.mean(1)) > limit * x.std(1, ddof=1)
    assert panel.power(deviation, n, k) == pytest.approx(convicted.mean(), abs=3.5 * 0.5 / math.sqrt(4000))


@pytest.mark.parametrize(("deviation", "k"), [(4.0, 1), (6.0, 9), (8.0, 9)])
def test_how_many_is_the_least_that_suffices(deviation, k):
    n = panel.how_many(deviation, k)
    assert panel.power(deviation, n, k) >= 0.8 > panel.power(deviation, n - 1, k) or n == 3
    assert n <= panel.how_many(deviation, k, sure=0.95) and n <= panel.how_many(deviation, k + 5)


def test_a_network_near_gold_is_never_found():
    """Even with gold's mean and spread known: |z| > 1.96 at a deviation of 2 has probability 0.52."""
    assert panel.how_many(2.0) == math.inf and panel.how_many(-2.0) == math.inf
    assert panel.how_many(3.0) < 40
