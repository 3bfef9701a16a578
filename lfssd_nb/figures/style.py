"""Figures that several notebooks share, in one style: colour-blind safe, readable in greyscale."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..audit.intervals import mean_and_interval
from ..data.dataset import Dataset
from ..parameters import place

# Okabe-Ito colours, a hue each, each with a hatch of its own
STYLES = {
    "original": ("#4d4d4d", ""),
    "gold": ("#E69F00", "//"),
    "lfssd": ("#0072B2", ""),
    "ssd": ("#CC79A7", ".."),
}
LABELS = {"original": "original", "gold": "retrained (gold)", "lfssd": "LFSSD", "ssd": "SSD"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def use_style() -> None:
    """The look of all figures; `page.begin` calls it."""
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    plt.rcParams.update({
        "figure.dpi": 80, "savefig.bbox": "tight", "figure.constrained_layout.use": True,
        "axes.titlesize": "medium", "hatch.linewidth": 0.6,
    })  # fmt: skip


def headline(table: pd.DataFrame, forgotten: str, source: str) -> Figure:
    """Bars of retained and forgotten test accuracy (%) per model, and the membership attack.

    table: that of `comparison.compare`; forgotten: what was forgotten, in words.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=[2.4, 1.3])
    groups = {"retain_test_acc": "retained", "forget_test_acc": f"forgotten\n({forgotten})"}
    _bars(left, table, groups)
    left.set(ylabel="test accuracy (%)", ylim=(0, 112), title="What the network still knows")
    _bars(right, table, {"mia": "forget set"}, digits=2)
    right.set(ylabel="called members (share)", ylim=(0, 1.12), title="Membership attack")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{source}", fontsize="small", color="0.35")
    return figure


def _bars(axes: Axes, table: pd.DataFrame, groups: Mapping[str, str], digits: int = 1) -> None:
    width = 0.8 / len(table)
    for k, (name, row) in enumerate(table.iterrows()):
        colour, hatch = STYLES.get(name, ("0.7", "xx"))
        x = np.arange(len(groups)) + (k - (len(table) - 1) / 2) * width
        values = [row[column] for column in groups]
        bars = axes.bar(
            x, values, width, label=LABELS.get(name, name), color=colour, hatch=hatch, edgecolor="white"
        )
        axes.bar_label(bars, fmt=f"%.{digits}f", fontsize="x-small", padding=1)
    axes.set_xticks(range(len(groups)), groups.values())
    axes.grid(axis="x", visible=False)


def images(data: Dataset, x: Tensor, titles: Sequence[str], columns: int = 10) -> Figure:
    """Samples ``[N, ...]`` in rows, each under its title: images, or whatever `show` draws."""
    rows = -(-len(x) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * 0.95, rows * 1.2), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, sample, title in zip(axes.flat, x, titles, strict=False):
        data.show.draw(ax, sample)
        ax.set_title(title, fontsize="x-small")
    return figure


def per_class(rows: Mapping[str, Tensor], classes: Sequence[str], xlabel: str = "class") -> Figure:
    """Accuracy (%) of each class, one line of markers per model name."""
    figure, ax = plt.subplots(figsize=(8, 3))
    for k, (name, values) in enumerate(rows.items()):
        x = np.arange(len(classes)) + (k - (len(rows) - 1) / 2) * 0.12
        colour = STYLES.get(name, ("0.4", ""))[0]
        ax.plot(x, values, MARKERS[k], color=colour, label=LABELS.get(name, name), markersize=8)
    ax.set_xticks(range(len(classes)), classes)
    ax.set(xlabel=xlabel, ylabel="test accuracy (%)", ylim=(-5, 105))
    figure.legend(loc="outside lower center", ncols=len(rows), frameon=False)
    return figure


def places(report: pd.DataFrame) -> pd.DataFrame:
    """``layer`` and ``kind`` of each parameter of a `dampening.dampen` report, see `parameters.place`."""
    return pd.DataFrame(report.parameter.map(place).tolist(), columns=["layer", "kind"])


def layer_shares(reports: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Share of each parameter tensor that was selected (%), input at the left, output at the right, under the
    layers' names (`parameters.place`). Filled: matrices and convolutions; open: norms and biases."""
    figure, ax = plt.subplots(figsize=(10, 4))
    for k, (name, report) in enumerate(reports.items()):
        where, share = places(report), 100 * report["share"].to_numpy()
        x = np.arange(len(report)) + 0.15 * (2 * k - len(reports) + 1)
        thick = ~where.kind.str.contains("norm|bias").to_numpy()
        style = dict(color=STYLES.get(name, (f"C{k}", ""))[0], marker=MARKERS[k], ls="", ms=5)
        ax.vlines(x, 0, share, color=style["color"], lw=0.7, alpha=0.6)
        ax.plot(x[thick], share[thick], label=LABELS.get(name, name), **style)
        ax.plot(
            x[~thick], share[~thick], mfc="white", label=f"{LABELS.get(name, name)}, norm or bias", **style
        )
    tensors = {name: np.flatnonzero(where.layer == name) for name in dict.fromkeys(where.layer)}
    for at in tensors.values():
        ax.axvline(at[-1] + 0.5, color="0.75", lw=1)
    ax.set_xticks([at.mean() for at in tensors.values()], tensors)
    ax.grid(axis="x", visible=False)
    ax.set(
        xlabel="parameter tensors, input to output", ylabel="selected weights (%)", title=title,
        xlim=(-0.5, len(where) - 0.5),
    )  # fmt: skip
    figure.legend(loc="outside lower center", ncols=2 * len(reports), frameon=False)
    return figure


def strips(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    by: str = "label",
    network: str = "seed",
    interval_of: Collection[str] = (),
) -> Figure:
    """One row for each value of ``by``, one panel for each column (named by its axis label): every case a
    grey tick, the mean of each network's cases an open circle, the mean of the networks a dot.

    The cases of a network share its luck, so they count once: the dots of the columns in ``interval_of`` have
    the 95 % interval over networks (`intervals.mean_and_interval`) where there are three or more.
    """
    names = list(dict.fromkeys(table[by]))
    size = (5 * len(columns), 0.36 * len(names) + 1.3)
    figure, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False)
    middle = "mean of the networks" + (" (bar: 95 % interval)" if interval_of else "")
    for ax, (column, label) in zip(axes.flat, columns.items(), strict=True):
        each = table.groupby([by, network], sort=False)[column].mean().reset_index()
        found = mean_and_interval(each, [by], column).reindex(names)
        ax.plot(table[column], table[by].map(names.index) - 0.2, "|", color="0.6", ms=7, label="a case")
        ax.plot(each[column], each[by].map(names.index), "o", mfc="none", mec="0.35", ms=5, label="a network")
        half = found.half.where((found.n >= 3) & (column in interval_of))
        at = np.arange(len(names)) + 0.22
        ax.errorbar(found["mean"], at, xerr=half, fmt="o", color="black", ms=5, label=middle)
        ax.set(xlabel=label)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
