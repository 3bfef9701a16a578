"""Figures of many records: what a bar reaches over, against the same in plain Python."""

import statistics

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lfssd_nb import figures
from lfssd_nb.figures import portraits

T975 = 4.3027  # Student's t for three values


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def bars(ax):
    """(dot, [left end, right end]) of each error bar of a panel; no ends where no bar is drawn."""
    for container in ax.containers:
        dots, _, (reach,) = container.lines
        for at, ends in zip(dots.get_xdata(), reach.get_segments(), strict=True):
            yield at, [x for x, _ in ends]


def cases(networks: int) -> pd.DataFrame:
    """Five cases on each network; networks differ much, the cases of one little."""
    rows = [("a", seed, 10.0 * seed**2 + 0.1 * k) for seed in range(networks) for k in range(5)]
    return pd.DataFrame(rows, columns=["label", "seed", "points"])


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_the_cases_of_a_network_count_once_and_two_networks_have_no_interval(networks):
    table = cases(networks)
    figure = figures.strips(table, {"points": "points"}, interval_of=["points"])
    means = [statistics.fmean(table.points[table.seed == seed]) for seed in range(networks)]
    ((at, ends),) = bars(figure.axes[0])
    assert at == pytest.approx(statistics.fmean(means))
    half = T975 * statistics.stdev(means) / 3**0.5 if networks == 3 else 0
    assert ends == pytest.approx([at - half, at + half] if half else [], rel=1e-4)


def test_a_column_that_is_not_asked_for_has_no_interval():
    figure = figures.strips(cases(3), {"points": "points"})
    ((_, ends),) = bars(figure.axes[0])
    assert ends == []


@pytest.mark.parametrize("middle", ["mean", "median"])
def test_over_seeds_draws_the_interval_of_the_mean_or_the_range_about_the_median(middle):
    values = [0.0, 0.0, 0.0, 90.0, 100.0]
    table = pd.DataFrame({"label": "a", "left": values})
    figure = portraits.over_seeds(table, {"left": "left (%)"}, middle=middle)
    ((at, ends),) = bars(figure.axes[0])
    half = 2.7764 * statistics.stdev(values) / 5**0.5
    expected = {"median": (0, 0, 100), "mean": (38, 38 - half, 38 + half)}[middle]
    assert (at, *ends) == pytest.approx(expected, rel=1e-4)


def test_the_drawing_of_the_method_obeys_its_rule():
    """What is above alpha is divided by its ratio, all else keeps its length."""
    _, forget, full, ratio, weights = figures.method().axes
    i_f, i_d, r = ([bar.get_height() for bar in axes.patches] for axes in (forget, full, ratio))
    before, after = ([bar.get_height() for bar in part] for part in weights.containers)
    alpha = ratio.lines[0].get_ydata()[0]
    assert r == pytest.approx([a / b for a, b in zip(i_f, i_d, strict=True)])
    wanted = [w / q if q > alpha else w for w, q in zip(before, r, strict=True)]
    assert after == pytest.approx(wanted) and 0 < sum(q > alpha for q in r) < len(r)
