"""Paired differences: by hand, by scipy, and by how often their intervals hold."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lfssd_nb.audit.intervals import interval, jackknife, paired_differences


def study(rng, n=6, shift=0.0, methods=("a", "b", "base")):
    """Targets that share a network: a deviation of the network for each method, little noise beside it."""
    rows = []
    for seed in range(n):
        network = rng.normal(size=len(methods))
        for target in "012":
            level = rng.normal()  # of the case, the same for all methods
            rows += [
                (m, seed, target, level + network[k] + shift * (m == "a") + 0.1 * rng.normal())
                for k, m in enumerate(methods)
            ]
    return pd.DataFrame(rows, columns=["label", "seed", "target", "tow"])


def test_by_hand():
    table = study(np.random.default_rng(0))
    found = paired_differences(table, "tow", "base").loc["a"]
    wide = table.pivot(index=["seed", "target"], columns="label", values="tow")
    d = (wide.a - wide.base).groupby("seed").mean()
    low, high = stats.ttest_rel(*(wide.groupby("seed").mean()[k] for k in ("a", "base"))).confidence_interval(
        0.95
    )
    assert (found["mean"], found.half, found.n) == pytest.approx((d.mean(), (high - low) / 2, 6))
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert found.joint == pytest.approx(stats.t.ppf(1 - 0.0125, 5) * d.std() / 6**0.5)


def test_holm_as_in_a_textbook():
    table = study(np.random.default_rng(1), methods=(*"abcd", "base"), shift=3.0)
    found = paired_differences(table, "tow", "base").sort_values("p")
    expected = np.maximum.accumulate(np.minimum(found.p.to_numpy() * [4, 3, 2, 1], 1))
    assert found.holm.to_list() == pytest.approx(expected.tolist())
    assert found.index[0] == "a"


def test_the_order_of_rows_does_not_matter_and_comparisons_stay_apart():
    one, two = (study(np.random.default_rng(k)).assign(net=f"net {k}") for k in (2, 3))
    both = pd.concat([one, two])
    found = paired_differences(both.sample(frac=1, random_state=0), "tow", "base", by=["net"])
    alone = paired_differences(one, "tow", "base")
    assert found["mean"]["net 2"].to_dict() == pytest.approx(alone["mean"].to_dict())
    assert (
        found.joint["net 2"] > alone.joint.reindex(found.loc["net 2"].index)
    ).all()  # four comparisons, not two


def test_joint_intervals_hold_together_and_clusters_count_once():
    rng, held, alone, naive = np.random.default_rng(4), 0, 0, 0
    for _ in range(400):
        table = study(rng)
        found = paired_differences(table, "tow", "base")
        held += bool((found["mean"].abs() <= found.joint).all())
        alone += abs(found["mean"]["a"]) <= found.half["a"]
        rows = table.pivot(index=["seed", "target"], columns="label", values="tow")
        naive += stats.ttest_rel(rows.a, rows.base).pvalue > 0.05
    assert held / 400 > 0.92 and 0.92 < alone / 400 < 0.98
    assert naive / 400 < 0.85  # what it would be, were the three targets of a network counted as three


def test_what_is_called_detectable_is_found_in_four_studies_of_five():
    rng = np.random.default_rng(5)
    size = np.median([paired_differences(study(rng), "tow", "base").detectable["a"] for _ in range(100)])
    hits = [
        (found := paired_differences(study(rng, shift=size), "tow", "base").loc["a"])["mean"] > found.joint
        for _ in range(200)
    ]
    assert 0.6 < np.mean(hits) < 0.95


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t[t.label != "base"], "no row has label='base' to compare with; choose one of a, b"),
        (lambda t: pd.concat([t, t[:1]]), "label='a' has two rows for one seed and target"),
        (
            lambda t: t[(t.label != "base") | (t.seed > 0)],
            "'base' has no row to pair with at {'seed': 0, 'target': '0'}",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        paired_differences(change(study(np.random.default_rng(6))), "tow", "base")


def test_one_cluster_has_no_interval():
    found = paired_differences(study(np.random.default_rng(7), n=1), "tow", "base")
    assert found[["half", "joint", "p"]].isna().all(axis=None) and found["mean"].notna().all()


def test_the_jackknife_of_a_mean_is_its_interval():
    values = pd.Series(np.random.default_rng(0).normal(size=7))
    left_out = [values.drop(i).mean() for i in values.index]
    expected = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert jackknife(left_out) == pytest.approx(np.ptp(expected) / 2) == pytest.approx(interval(values).half)
    assert interval(values)["mean"] == values.mean() and interval(values).n == 7
    assert np.isnan(jackknife([1.0])) and np.isnan(jackknife([])) and np.isnan(interval(values[:1]).half)


def test_the_jackknife_holds_for_a_statistic_of_all_networks_at_once():
    rng, held = np.random.default_rng(1), 0
    for _ in range(300):
        lot = rng.normal(size=12)
        estimate = np.log(lot.var(ddof=1))
        left_out = [np.log(np.delete(lot, i).var(ddof=1)) for i in range(12)]
        held += abs(estimate) < jackknife(left_out)
    assert 0.88 < held / 300 < 0.99
