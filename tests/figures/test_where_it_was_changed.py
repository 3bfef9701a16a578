"""Where weights were selected: one scale for all panels, tensors under the names of their layers."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lfssd_nb import figures
from lfssd_nb.figures import portraits

NAMES = ("conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer1.0.bn1.weight", "fc.weight", "fc.bias")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def report(*selected: int) -> pd.DataFrame:
    """Of ten weights of each tensor so many are selected."""
    table = pd.DataFrame({"parameter": NAMES, "selected": selected, "size": 10})
    return table.assign(share=table.selected / 10)


def test_equal_shades_of_two_panels_are_equal_shares():
    figure = portraits.damage({"mild": report(0, 0, 1, 0, 2, 0), "hard": report(0, 0, 4, 0, 8, 0)})
    scales = [ax.collections[0].get_clim() for ax in figure.axes[:2]]
    assert scales == [(0, 80), (0, 80)] and figure.axes[2].get_ylabel() == "selected weights (%)"


def test_a_share_stands_above_its_layer_and_norms_and_biases_are_open():
    figure = figures.layer_shares({"lfssd": report(0, 1, 2, 3, 4, 5), "ssd": report(0, 0, 0, 0, 0, 0)})
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["stem", "stage 1", "head"]
    assert list(ax.get_xticks()) == [0.5, 2.5, 4.5]
    marks = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(marks["LFSSD"].get_ydata()) == [0, 20, 40]
    assert list(marks["LFSSD, norm or bias"].get_ydata()) == [10, 30, 50]
    assert marks["LFSSD, norm or bias"].get_markerfacecolor() == "white"
