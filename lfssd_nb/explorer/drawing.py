"""A picture of one setting of alpha and lambda, drawn once and then only updated: for live sliders.

It lives on an Agg canvas of its own, so that pyplot's figures and style are neither used nor changed.
"""

import io
from collections.abc import Mapping

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario
from ..figures.style import LABELS, STYLES
from ..sweeps.grids import Pair
from .trial import SAMPLES, Reading, Trial

STYLE = ["default", {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9.5, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False,
    "hatch.linewidth": 0.6, "xtick.major.size": 0, "ytick.major.size": 0,
}]  # fmt: skip
INK, PALE = STYLES["original"][0], "0.9"


class Picture(Figure):
    """A figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.canvas.print_png(buffer)
        return buffer.getvalue()


class Board:
    """``Board(trial).draw(reading)`` gives the figure, ``.png(reading)`` its bytes.

    Accuracy per class (outline: before, filled: after, diamond: gold), share of selected weights per layer
    with their mean factor, and sample images with the answers before and after. caption: write setting and
    accuracies above it.
    """

    def __init__(self, trial: Trial, caption: bool = True, dpi: float = 100):
        self.trial, self.estimator, self.still = trial, None, None
        with matplotlib.style.context(STYLE):
            height = 5.5 if caption else 4.95
            self.figure = Picture(figsize=(10, height), dpi=dpi)
            self.canvas = FigureCanvasAgg(self.figure)
            self.caption = self.figure.text(0.015, 1 - 0.1 / height, "", va="top") if caption else None
            upper = self.figure.add_gridspec(
                1, 2, left=0.055, right=0.915, top=4.4 / height, bottom=2.2 / height,
                width_ratios=[2.1, 1], wspace=0.23,
            )  # fmt: skip
            moving = self._accuracies(self.figure.add_subplot(upper[0]))
            moving += self._layers(self.figure.add_subplot(upper[1])) + self._samples(height)
            self.moving = moving + [self.caption] * caption  # what changes, from back to front
            self.figure.text(0.99, 0.01, trial.data.source, ha="right", fontsize=7, color="0.4")

    def _accuracies(self, ax):
        trial, groups = self.trial, self.trial.groups
        x, many = range(len(groups)), len(groups) > 20
        gone = [k for k in x if groups[k].forgotten]
        for k in gone:
            ax.axvspan(k - 0.5, k + 0.5, color=PALE, lw=0)
        keys = [ax.bar(x, trial.original.groups, 0.84, fill=False, ec=INK, lw=1.2, zorder=3)]
        self.bars = ax.bar(x, 0, 0.6, ec="white", lw=0)
        keys.append(self.bars)
        if trial.gold:
            style = dict(ms=4 if many else 6, mfc=STYLES["gold"][0], mec="black", mew=0.8)
            keys += ax.plot(x, trial.gold.groups, "D", clip_on=False, zorder=4, **style)
        self.values = [ax.text(k, 107, "", ha="center", fontsize=8) for k in x if not many]
        labels = [_short(g.label, 9 if many else 12) for g in groups]
        if many:  # no room for all of them
            step = -(-len(x) // 25)
            free = [k % step == 0 and all(abs(k - f) > 1 for f in gone) for k in x]
            labels = [name if k in gone or free[k] else "" for k, name in enumerate(labels)]
        wide = max(map(len, labels)) * len(labels) > 75
        turned = dict(rotation=30, fontsize=8, ha="right", rotation_mode="anchor") if wide else {}
        ax.set_xticks(x, labels, **dict(rotation=90, fontsize=6) if many else turned)
        ax.tick_params(axis="x", pad=6)
        for k in gone:
            ax.get_xticklabels()[k].set_fontweight("bold")
        what = trial.data.show.noun
        title = f"Test {what} of each class"
        if trial.scenario.kind == "subclass":
            title = f"Test {what} of each sub-class, correct if the super-class is"
        if not len(trial.scenario.test_forget):
            title += f", training {what} of $D_f$"
        ax.set(
            ylim=(-1, 117), xlim=(-0.6, len(groups) - 0.4), yticks=range(0, 101, 20), ylabel="accuracy (%)"
        )
        ax.set_title(f"{title}; shaded: to be forgotten", loc="left", pad=21)
        place = dict(loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=3, frameon=False)
        self.legend = ax.legend(keys, ["before", "after", LABELS["gold"]][: len(keys)], **place)
        return [*self.bars, *keys[0], *keys[2:], *self.values]

    def _layers(self, ax):
        y = range(len(self.trial.layers))
        ax.barh(y, 100, 0.7, color=PALE)
        self.shares = ax.barh(y, 0, 0.7, ec="white", lw=0)
        ax.set_yticks(y, self.trial.layers)
        ax.set(xlim=(0, 100), ylim=(len(y) - 0.4, -0.6), xlabel="selected weights (% of the layer)")
        ax.set_title("Where the weights are selected", loc="left", pad=21)
        columns = {"selected\n(%)": 1.13, "mean\nfactor": 1.3}
        where = dict(transform=ax.get_yaxis_transform(), ha="right", fontsize=8)
        for title, at in columns.items():
            ax.text(at, -0.6, title, va="bottom", **where)
        self.numbers = [[ax.text(at, k, "", va="center", **where) for at in columns.values()] for k in y]
        return [*self.shares, ax.spines["left"], *(text for pair in self.numbers for text in pair)]

    def _samples(self, height):
        trial, classes = self.trial, self.trial.data.classes
        samples = trial.x[trial.samples.to(trial.x.device)]
        self.answers = []
        for line, at in (("before", 0.45), ("after", 0.25)):
            self.figure.text(0.015, at / height, line, fontsize=8)
        for k, sample in enumerate(samples):
            first = k in (0, trial.forgotten_samples)
            slot = k if k < trial.forgotten_samples else SAMPLES + k - trial.forgotten_samples
            left = 0.065 + 0.0925 * slot + (0.01 if slot >= SAMPLES else 0)
            ax = self.figure.add_axes((left, 0.62 / height, 0.082, 0.6 / height))
            trial.data.show.draw(ax, sample)
            style = dict(ha="center", fontsize=8)
            ax.set_title(_short(trial.titles[k]), pad=3, **style)
            middle, was = left + 0.041, classes[trial.original.answers[k]]
            self.figure.text(middle, 0.45 / height, _short(was), **style)
            self.answers.append(self.figure.text(middle, 0.25 / height, "", **style))
            if first:
                what = "To be forgotten" if k == 0 else "To be retained"
                self.figure.text(left, 1.49 / height, f"{what} (bold: the answer has changed)", fontsize=9.5)
        return self.answers

    def draw(self, reading: Reading) -> Figure:
        """The figure at a setting: the same object after every call. Costs no rendering."""
        score, trial = reading.score, self.trial
        if reading.estimator != self.estimator:
            colour, hatch = STYLES.get(reading.estimator.lower(), STYLES["lfssd"])
            entry = self.legend.get_patches()[1]
            for patch in (*self.bars, *self.shares, entry):
                patch.set(facecolor=colour, hatch=hatch)
            self.legend.get_texts()[1].set_text(f"after {reading.estimator} (number)")
            self.estimator, self.still = reading.estimator, None
        for bar, value in zip(self.bars, score.groups, strict=True):
            bar.set_height(value)
        for text, value in zip(self.values, score.groups, strict=False):
            text.set_text(f"{value:.0f}")
        for bar, texts, share, mean in zip(
            self.shares, self.numbers, reading.share, reading.factor, strict=True
        ):
            bar.set_width(100 * share)
            texts[0].set_text("<0.1" if 0 < share < 0.001 else f"{100 * share:.1f}")
            texts[1].set_text(f"{mean:.2f}" if share else "–")
        for text, now, before in zip(self.answers, score.answers, trial.original.answers, strict=True):
            text.set_text(_short(trial.data.classes[now]))
            text.set_fontweight("bold" if now != before else "normal")
        if self.caption:
            self.caption.set_text(f"{setting(reading, '$N/N_f$')}\n{numbers(trial, reading)}")
        return self.figure

    def png(self, reading: Reading) -> bytes:
        """What `draw` shows, as a PNG. What stays the same is not rendered again."""
        self.draw(reading)
        if self.still is None:
            for artist in self.moving:
                artist.set_visible(False)
            self.canvas.draw()
            self.still = self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.set_visible(True)
            self.figure.draw_artist(artist)
        pixels, buffer = np.asarray(self.canvas.buffer_rgba()), io.BytesIO()
        Image.fromarray(pixels).convert("RGB").save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def setting(reading: Reading, ceiling: str = "N/N_f") -> str:
    """The setting in words, with the ceiling of alpha as the place writes it."""
    return (
        f"{reading.estimator} at α′ = {reading.scale:.3g} (α = α′ {ceiling} = {reading.alpha:.3g}), "
        f"λ = {reading.lam:.3g}"
    )


def numbers(trial: Trial, reading: Reading) -> str:
    """Share of selected weights and accuracies, beside those of the original and the gold model."""
    parts = [f"selected {100 * reading.selected:.2f} % of all weights"]
    for name in ("retained", "forgotten"):
        others = [f"before {getattr(trial.original, name):.1f}"]
        if trial.gold:
            others.append(f"retrained {getattr(trial.gold, name):.1f}")
        parts.append(f"{name} accuracy {getattr(reading.score, name):.1f} % ({', '.join(others)})")
    return "; ".join(parts)


def _short(name: str, most: int = 12) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def picture(
    model: nn.Module,
    data: Dataset,
    scenario: Scenario,
    importances: Mapping[str, Pair],
    alpha: float,
    lam: float = 1.0,
    gold: nn.Module | None = None,
    estimator: str | None = None,
) -> Figure:
    """One setting of `sliders.explore` as a figure, for where no kernel runs. Raises what `Trial` raises."""
    trial = Trial(model, data, scenario, importances, gold)
    return Board(trial).draw(trial.read(alpha, lam, estimator))
