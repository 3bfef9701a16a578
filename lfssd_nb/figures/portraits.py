"""Figures of one act of forgetting: what it answers, how sure it is, who pays, where it was changed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from ..audit.intervals import mean_and_interval
from .style import LABELS, MARKERS, STYLES, places

LINES = {"original": ":", "gold": "--", "lfssd": "-", "ssd": "-."}


def confusions(answers: Mapping[str, Tensor], truth: Tensor, rows: Sequence[str], columns=None) -> Figure:
    """What is answered (columns) to images of each kind (rows), in percent of the row, per model.

    answers: predicted class ``[N]`` by model name; truth: row of each image ``[N]``.
    """
    columns = rows if columns is None else columns
    figure, axes = plt.subplots(
        1, len(answers), figsize=(1.2 + 3.1 * len(answers), 0.7 + 0.29 * len(rows)), sharey=True
    )
    for ax, (name, given) in zip(np.atleast_1d(axes), answers.items(), strict=True):
        counts = pd.crosstab(truth.cpu().numpy(), given.cpu().numpy())
        counts = counts.reindex(index=range(len(rows)), columns=range(len(columns)), fill_value=0)
        percent = 100 * counts.div(counts.sum(1).clip(lower=1), axis=0)
        labels = percent.map(lambda v: f"{v:.0f}" if v >= 3 else "")
        sns.heatmap(
            percent, ax=ax, cmap="Greys", vmin=0, vmax=100, cbar=False, annot=labels, fmt="",
            annot_kws={"size": 8}, xticklabels=columns, yticklabels=rows, linewidths=0.3, linecolor="0.9",
        )  # fmt: skip
        ax.set(title=LABELS.get(name, name), xlabel="answer", ylabel="")
        ax.tick_params(axis="y", rotation=0)
    np.atleast_1d(axes)[0].set_ylabel("image of (% of row)")
    return figure


def confidences(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Distribution of the largest probability, one panel per title and one line per model name."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3), sharey=True)
    bins = np.linspace(0, 1, 21)
    for ax, (title, models) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        for name, z in models.items():
            top = z.softmax(1).max(1).values.cpu().numpy()
            share, _ = np.histogram(top, bins)
            ax.stairs(
                100 * share / len(top), bins, ls=LINES.get(name, "-"), lw=2,
                color=STYLES.get(name, ("0.5", ""))[0], label=LABELS.get(name, name),
            )  # fmt: skip
        ax.set(xlabel="confidence (largest probability)", title=title, xlim=(0, 1))
    np.atleast_1d(axes)[0].set_ylabel("images of the forget set (%)")
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def damage(reports: Mapping[str, pd.DataFrame]) -> Figure:
    """Layer (rows) x kind of parameter (columns): share of the weights that were selected, in percent, in
    shades of one scale for all panels. A cell is empty where a layer has no such parameters."""
    shares = {title: _shares(report) for title, report in reports.items()}
    widths = [2.5 + share.shape[1] for share in shares.values()]
    figure, axes = plt.subplots(1, len(shares), figsize=(0.42 * sum(widths), 3.8), width_ratios=widths)
    most = max(share.max(axis=None) for share in shares.values())
    for ax, (title, share) in zip(np.atleast_1d(axes), shares.items(), strict=True):
        sns.heatmap(share, ax=ax, cmap="Greys", vmin=0, vmax=most, annot=True, fmt=".1f",
                    annot_kws={"size": 8}, cbar=False, linewidths=0.3, linecolor="0.9")  # fmt: skip
        ax.set(title=title, xlabel="", ylabel="")
        ax.grid(visible=False)
        ax.tick_params(axis="x", rotation=45)
        plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
        ax.tick_params(axis="y", rotation=0)
    figure.colorbar(ax.collections[0], ax=axes, label="selected weights (%)", aspect=15, pad=0.01)
    return figure


def _shares(report: pd.DataFrame) -> pd.DataFrame:
    """Selected weights of each layer and kind, in percent; NaN where there are none to select."""
    sums = pd.concat([places(report), report[["selected", "size"]].reset_index(drop=True)], axis=1)
    sums = sums.groupby(["layer", "kind"], sort=False)[["selected", "size"]].sum()
    return (100 * sums.selected / sums["size"]).unstack(sort=False)


def over_seeds(
    table: pd.DataFrame, values: Mapping[str, str], rows="label", ylabel="", middle="mean"
) -> Figure:
    """One panel per column of ``table`` (title by column name), one row per value of ``rows``, in order of
    appearance: every record a tick, and below them the mean with its 95 % interval or, where ``middle`` is
    "median", the median with the range. (Where records stand in two groups, none need be near their mean.)
    Names of rows that begin with LFSSD or SSD have the hue of the method."""
    order = list(dict.fromkeys(table[rows]))
    names = {"mean": "mean, 95 % interval", "median": "median, range"}
    figure, axes = plt.subplots(
        1, len(values), figsize=(1.5 + 3.2 * len(values), 1.2 + 0.32 * len(order)), sharey=True
    )
    for ax, (column, title) in zip(np.atleast_1d(axes), values.items(), strict=True):
        for k, name in enumerate(order):
            dots, first = table.loc[table[rows] == name, column], k == 0
            look = dict(color="0.45", markersize=7, label="a record" if first else None)
            ax.plot(dots, np.full(len(dots), k) - 0.14, "|", **look)
            at, *reach = _middle(table[table[rows] == name], rows, column, middle)
            ends = np.array(reach)[:, None]
            look = dict(color="black", capsize=3, markersize=5, label=names[middle] if first else None)
            ax.errorbar(at, k + 0.18, xerr=ends, fmt=MARKERS[0], **look)
        ax.set(title=title)
        ax.set_yticks(range(len(order)), order)
    left = np.atleast_1d(axes)[0]
    left.invert_yaxis()
    left.set_ylabel(ylabel)
    for tick in left.get_yticklabels():
        for method in ("lfssd", "ssd"):
            if tick.get_text().startswith(LABELS[method]):
                tick.set(color=STYLES[method][0], fontweight="bold")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _middle(part: pd.DataFrame, by: str, column: str, middle: str) -> tuple[float, float, float]:
    """A value for all of ``part``, and how far its bar reaches below and above it."""
    if middle == "median":
        at = part[column].median()
        return at, at - part[column].min(), part[column].max() - at
    ((mean, half),) = mean_and_interval(part, [by], column)[["mean", "half"]].to_numpy()
    return mean, half, half
