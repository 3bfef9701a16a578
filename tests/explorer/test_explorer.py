"""The explorer without a browser: what it measures, what it draws, what its sliders do, what it refuses."""

import importlib.util
import io
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from IPython.core.formatters import PNGFormatter
from matplotlib.figure import Figure
from PIL import Image

from lfssd_nb import networks
from lfssd_nb.audit import how_accurate
from lfssd_nb.dampening import dampen
from lfssd_nb.data import scenarios
from lfssd_nb.explorer import sliders
from lfssd_nb.explorer.drawing import Board
from lfssd_nb.explorer.trial import SAMPLES, Trial
from lfssd_nb.figures import style
from lfssd_nb.importance import Importance, fisher, sensitivity
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.parameters import place
from lfssd_nb.system.stopwatch import counting

TARGETS = {"class": 3, "subclass": 8, "random": 12}


def importances(model, data, scenario):
    x, y, f = data.train_x, data.train_y, scenario.forget
    return {
        "LFSSD": (sensitivity(model, x[f]), sensitivity(model, x)),
        "SSD": (fisher(model, x[f], y[f]), fisher(model, x, y)),
    }


@pytest.fixture(scope="module")
def cases(digits):
    """Arguments of `explore` by kind of scenario: 400 digits, a small network, and another one as gold."""
    found = {}
    for kind, target in TARGETS.items():
        data = (digits.coarsen() if kind == "subclass" else digits).subset(400)
        scenario = scenarios.make(data, kind, target)
        model, gold = (
            training.trained(data, Architecture(width=8), Recipe(epochs=8, batch_size=32), seed, show=False)
            for seed in (0, 1)
        )
        found[kind] = model, data, scenario, importances(model, data, scenario), gold
    return found


@pytest.mark.parametrize("estimator", ["LFSSD", "SSD"])
@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_drawn_is_dampen_and_metrics(cases, kind, estimator):
    model, data, scenario, pairs, gold = cases[kind]
    trial = Trial(*cases[kind])
    alpha, lam = trial.alpha(0.02 if kind == "random" else 0.2), 0.5
    reading, board = trial.read(alpha, lam, estimator), Board(trial)
    board.png(reading)
    new, report = dampen(model, *pairs[estimator], alpha, lam)
    fine = data.test_sub if kind == "subclass" else data.test_y

    def per_group(network):
        values = [
            how_accurate.accuracy(network, data.test_x[fine == k], data.test_y[fine == k]) for k in range(10)
        ]
        if kind == "random":
            values.append(how_accurate.accuracies(network, data, scenario)["forget_train_acc"])
        return values

    assert [bar.get_height() for bar in board.bars] == per_group(new) != per_group(model)
    assert trial.original.groups == per_group(model) and trial.gold.groups == per_group(gold)
    assert [text.get_text() for text in board.values] == [f"{v:.0f}" for v in per_group(new)]
    expected = how_accurate.accuracies(new, data, scenario)
    which = "train" if kind == "random" else "test"
    assert reading.score.retained == expected["retain_test_acc"]
    assert reading.score.forgotten == expected[f"forget_{which}_acc"]

    assert reading.selected == report.selected.sum() / report["size"].sum() > 0
    report["layer"] = [place(name)[0] for name in report.parameter]
    report["sum"] = report.mean_factor * report.selected
    layers = report.groupby("layer", sort=False)[["size", "selected", "sum"]].sum()
    assert trial.layers == [*layers.index] == ["stem", *(f"stage {k}" for k in range(1, 5)), "head"]
    widths = torch.tensor([bar.get_width() for bar in board.shares], dtype=torch.double)
    torch.testing.assert_close(widths, torch.tensor((100 * layers.selected / layers["size"]).to_numpy()))
    factors = torch.tensor((layers["sum"] / layers.selected).to_numpy())
    torch.testing.assert_close(
        torch.tensor(reading.factor, dtype=torch.double), factors, equal_nan=True, rtol=1e-6, atol=0
    )

    answers = [data.classes[k] for k in networks.logits(new, trial.x[trial.samples]).argmax(1)]
    assert [text.get_text() for text in board.answers] == answers
    before = [data.classes[k] for k in networks.logits(model, trial.x[trial.samples]).argmax(1)]
    bold = [text.get_fontweight() == "bold" for text in board.answers]
    assert bold == [a != b for a, b in zip(answers, before, strict=True)] and any(bold)


def test_the_samples_are_of_the_kinds_they_claim(cases):
    for kind, (_, data, scenario, *_) in cases.items():
        trial = Trial(*cases[kind])
        gone, kept = trial.samples[: trial.forgotten_samples], trial.samples[trial.forgotten_samples :]
        assert len(gone) == len(gone.unique()) == len(kept) == SAMPLES
        assert set(kept.tolist()) <= set(scenario.test_retain.tolist())
        if kind == "random":
            assert all(
                any(torch.equal(image, other) for other in data.train_x[scenario.forget])
                for image in trial.x[gone]
            )
        else:
            assert set(gone.tolist()) <= set(scenario.test_forget.tolist())
    model, data, *_ = cases["subclass"]
    scenario = scenarios.forget_subclass(data, 4)
    trial = Trial(model, data, scenario, importances(model, data, scenario))
    assert trial.titles[:SAMPLES] == ["4 (4/9)"] * SAMPLES
    assert trial.titles[SAMPLES:] == [
        "9 (4/9)",
        "0 (0/8)",
        "1 (1/7)",
        "2 (2/6)",
        "3 (3/5)",
    ]  # look-alike first


def test_groups_mark_what_is_forgotten(cases):
    marked = {k: [(g.label, len(g.index)) for g in Trial(*c).groups if g.forgotten] for k, c in cases.items()}
    sizes = {kind: len(case[2].test_forget) for kind, case in cases.items()}
    assert marked == {"class": [("3", sizes["class"])], "subclass": [("8", sizes["subclass"])],
                      "random": [("$D_f$", TARGETS["random"])]}  # fmt: skip


def test_a_forget_set_of_your_own_gets_its_own_bar(cases):
    model, data, *_ = cases["class"]
    threes = (data.test_y == 3).nonzero()[:, 0]
    scenario = scenarios.from_index(data, torch.arange(10), threes[:1])
    trial = Trial(model, data, scenario, importances(model, data, scenario))
    assert [g.label for g in trial.groups if g.forgotten] == ["to forget"]
    assert trial.groups[-1].index.tolist() == threes[:1].tolist() and trial.forgotten_samples == 1
    Board(trial).png(trial.read(3.0))


@pytest.mark.parametrize("kind", TARGETS)
def test_sliders_move_the_picture_and_the_numbers(cases, kind):
    widget = sliders.explore(*cases[kind])
    seen = [(widget.image.value, widget.numbers.value)]
    for control, value in (("scale", 0.05), ("lam", 0.0), ("estimator", "SSD")):
        getattr(widget, control).value = value
        seen.append((widget.image.value, widget.numbers.value))
        assert all(now != before for now, before in zip(seen[-1], seen[-2], strict=True)), control
    assert seen[-1][1].startswith("SSD at α′ = 0.05 (") and "λ = 0<br>" in seen[-1][1]
    for control, value in (("lam", 1.0), ("scale", 0.4), ("estimator", "LFSSD")):
        getattr(widget, control).value = value
    assert (widget.image.value, widget.numbers.value) == seen[0]  # nothing of another setting stays behind


@pytest.mark.parametrize("kind", TARGETS)
def test_a_redrawn_picture_is_the_whole_one(cases, kind):
    """Only what changes is rendered at a move; a whole drawing of the figure has the same pixels."""
    trial = Trial(*cases[kind])
    board = Board(trial)
    for setting in ((0.3, 1.0, "LFSSD"), (0.03, 0.5, "LFSSD"), (0.03, 0.5, "SSD")):
        reading = trial.read(trial.alpha(setting[0]), *setting[1:])
        moved = np.asarray(Image.open(io.BytesIO(board.png(reading))).convert("RGB"))
        board.canvas.draw()
        assert np.array_equal(moved, np.asarray(board.canvas.buffer_rgba())[..., :3])


@pytest.mark.parametrize("kind", TARGETS)
def test_at_the_ceiling_nothing_is_selected(cases, kind):
    trial, widget = Trial(*cases[kind]), sliders.explore(*cases[kind])
    widget.lam.value = 0.0
    widget.scale.value = 1.0
    assert "selected 0.00 %" in widget.numbers.value
    for name in ("LFSSD", "SSD"):
        for alpha in (trial.alpha(1, name), trial.alpha(1.5, name)):
            reading = trial.read(alpha, 0.0, name)
            assert reading.selected == 0 == sum(reading.share) and reading.score == trial.original
    assert trial.alpha(1) == pytest.approx(trial.scenario.ceiling, rel=2e-5)
    assert trial.alpha(0.5) == trial.scenario.ceiling / 2


def test_the_model_is_left_alone_and_stored_importances_do_as_well(cases, tmp_path):
    model, data, scenario, pairs, _ = cases["class"]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    reading = Trial(model, data, scenario, pairs).read(2.0, 0.3)
    stored = []
    for k, importance in enumerate(pairs["LFSSD"]):
        importance.save(tmp_path / f"{k}.safetensors")
        stored.append(Importance.load(tmp_path / f"{k}.safetensors"))
    assert [*stored[0].sums] != [*pairs["LFSSD"][0].sums]  # in another order
    both = Trial(model, data, scenario, {"SSD": pairs["SSD"], "LFSSD": stored})
    again = both.read(2.0, 0.3, "LFSSD")
    assert again.share == reading.share and again.score == reading.score
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_rows_of_another_network_are_its_modules(tiny, few):
    scenario = scenarios.forget_class(few, 3)
    trial = Trial(tiny, few, scenario, {"mine": importances(tiny, few, scenario)["LFSSD"]})
    assert trial.layers == ["0", "1", "4"]
    text = Board(trial).draw(trial.read(2.0)).texts[0].get_text()
    assert text.startswith("mine at α′ = ") and "retrained" not in text


def test_picture_has_the_numbers_and_pyplot_never_hears_of_it(cases):
    model, data, scenario, pairs, gold = cases["class"]
    before, settings = plt.get_fignums(), dict(matplotlib.rcParams)
    figure = sliders.picture(model, data, scenario, pairs, alpha=3.0, lam=0.2, gold=gold, estimator="SSD")
    widget = sliders.explore(model, data, scenario, pairs, gold)
    assert isinstance(figure, Figure) and plt.get_fignums() == before
    assert dict(matplotlib.rcParams) == settings
    assert PNGFormatter()(figure).startswith(b"\x89PNG")  # what a notebook shows
    trial = Trial(*cases["class"])
    reading = trial.read(3.0, 0.2, "SSD")
    caption = figure.texts[0].get_text()
    for value in (
        reading.score.retained,
        trial.original.forgotten,
        trial.gold.retained,
        100 * reading.selected,
    ):
        assert f"{value:.1f}"[:-1] in caption
    assert "α = α′ $N/N_f$ = 3)" in caption and "λ = 0.2" in caption
    with matplotlib.rc_context():
        style.use_style()
        assert sliders.explore(model, data, scenario, pairs, gold).image.value == widget.image.value


def test_a_move_costs_one_forward_pass_and_renders_what_changes(cases, monkeypatch):
    """About 0.05 s of one core for the digits and a ResNet18 of width 16: all else is done before."""
    model, data, *_ = cases["class"]
    widget = sliders.explore(*cases["class"])
    board, whole, parts = widget.board, [], []
    draw_artist = board.figure.draw_artist
    monkeypatch.setattr(board.canvas, "draw", lambda: whole.append(1))
    monkeypatch.setattr(board.figure, "draw_artist", lambda part: parts.append(part) or draw_artist(part))
    with counting(type(model)) as seen:  # an importance would go forward, too
        for k in range(10):
            widget.scale.value = 0.05 + 0.05 * k
            assert seen[0] == (k + 1) * len(data.test_x) and parts == (k + 1) * board.moving
    assert not whole


def test_committed_output_is_small_text():
    """A widget in an executed notebook leaves its text, and neither its state nor an id."""
    path = Path(__file__).resolve().parents[2] / "scripts" / "notebooks.py"
    spec = importlib.util.spec_from_file_location("scripts_notebooks", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    cell = nbformat.v4.new_code_cell("import ipywidgets\nipywidgets.Image(value=bytes(200_000))")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert not script.execute("widget", notebook).errors
    (output,) = notebook.cells[0].outputs
    assert [*output["data"]] == ["text/plain"] and len(nbformat.writes(notebook)) < 2000


def test_the_explorer_introduces_itself_without_a_kernel(cases):
    bundle = sliders.explore(*cases["class"])._repr_mimebundle_()
    assert bundle["text/plain"] == "Sliders for alpha and lambda (LFSSD, SSD): run this cell in Jupyter"


# ---- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(importances={}), "no importances"),
        (dict(importances={"LFSSD": ({}, {})}), r"importances\['LFSSD'\] must be a pair"),
        (dict(importances={"LFSSD": 3}), r"importances\['LFSSD'\] must be a pair"),
        (dict(importances="random"), "over 12 samples, but the scenario forgets"),
        (dict(importances="subclass"), "another model|samples, but the scenario"),
        (dict(model="subclass"), "another model"),
        (dict(scenario="other data"), "belongs to other data: it splits 100 training images"),
        (dict(scenario="subclass", importances="subclass"), "no super-class labels"),
        (dict(gold=[]), "gold must be one model, got list"),
        (dict(gold="subclass"), "5 outputs and 'digits' has 10 classes"),
    ],
)
def test_what_does_not_fit_together_is_refused(cases, few, change, message):
    names = ("model", "data", "scenario", "importances", "gold")
    arguments = dict(zip(names, cases["class"], strict=True))
    for name, value in change.items():
        if value == "other data":
            value = scenarios.forget_class(few, 3)
        elif isinstance(value, str):
            value = cases[value][names.index(name)]
        arguments[name] = value
    with pytest.raises(ValueError, match=message):
        sliders.explore(**arguments)


def test_impossible_settings_are_refused(cases):
    with pytest.raises(ValueError, match="unknown estimator 'EWC'; choose one of LFSSD, SSD"):
        sliders.picture(*cases["class"][:4], alpha=2.0, estimator="EWC")
    with pytest.raises(ValueError, match="alpha must be positive"):
        sliders.picture(*cases["class"][:4], alpha=0.0)
    with pytest.raises(ValueError, match="lambda"):
        sliders.picture(*cases["class"][:4], alpha=1.0, lam=-1.0)
