"""Tuning by one protocol: the loss by hand, ladders that grow as far as they must, no gold, no test set."""

import math

import pandas as pd
import pytest

from lfssd_nb import baselines, data
from lfssd_nb.audit import how_accurate
from lfssd_nb.data.validation import validation
from lfssd_nb.lab import cases, records, trials
from lfssd_nb.lab.cases import Case
from lfssd_nb.lab.trials import Ladder
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.training import trained

STEPS = Ladder("scrub", "lr", (1.0, 2.0, 4.0))


def accuracies(retained, unseen, forgotten):
    return dict(
        retain_train_acc=retained, retain_test_acc=unseen, forget_train_acc=forgotten, forget_test_acc=9.0
    )


@pytest.mark.parametrize(
    "after, aim, expected",
    [
        ((100, 98, 0), 0, 0.0),  # nothing is lost, nothing is left
        ((100, 99, 0), 0, 0.0),  # better than the original is no damage
        ((90, 98, 0), 0, 10.0),
        ((90, 88, 0), 0, 100 * (1 - 0.9 * 0.9)),
        ((90, 88, 30), 0, 100 * (1 - 0.9 * 0.9 * 0.7)),
        ((100, 98, 100), 98, 2.0),  # random samples: doing nothing is two points from unseen
        ((100, 98, 0), 98, 98.0),
        ((100, 98, 100), 0, 100.0),
    ],
)
def test_the_loss_by_hand(after, aim, expected):
    found = trials.loss(accuracies(100.0, 98.0, 100.0), accuracies(*after), aim)
    assert found["loss"] == pytest.approx(expected, abs=1e-3)
    assert (found["retained"], found["unseen"], found["forgotten"]) == after


@pytest.mark.parametrize(
    "losses, values",
    [
        ((5, 1, 5), None),  # the best lies inside
        ((5, 3, 1), (1.0, 2.0, 4.0, 8.0)),
        ((1, 3, 5), (0.5, 1.0, 2.0, 4.0)),
        ((5, 1.2, 1), None),  # no better than its neighbour
        ((1, 1, 1), None),
        ((100, 100, 100), (1.0, 2.0, 4.0, 8.0)),  # nothing works yet: stronger
        ((100, 100, math.inf), (1.0, 2.0, 4.0, 8.0)),
        ((99.4, 98.8, 99.4), (1.0, 2.0, 4.0, 8.0)),  # an original that missed one sample
        ((1, math.inf, 5), (0.5, 1.0, 2.0, 4.0)),
        ((math.inf, math.inf, math.inf), None),
        ((5, math.inf, math.inf), (0.5, 1.0, 2.0, 4.0)),
    ],
)
def test_a_ladder_grows_where_its_best_value_is_the_last(losses, values):
    found = trials.beyond(STEPS, dict(zip(STEPS.values, losses, strict=True)))
    assert (found and found.values) == values


def test_no_value_lies_beyond_a_bound():
    ladder = Ladder("lfssd", "scale", (0.9, 0.6), (0.0, 1.0))
    assert trials.beyond(ladder, {0.9: 0, 0.6: 5}).values == (1.0, 0.9, 0.6)
    assert trials.beyond(Ladder("lfssd", "scale", (1.0, 0.6), (0.0, 1.0)), {1.0: 0, 0.6: 5}) is None


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 3.0, 2.0)])
def test_a_ladder_has_a_direction(values):
    with pytest.raises(ValueError, match="give two or more, rising or falling"):
        Ladder("scrub", "lr", values)


def table(losses, ladder=STEPS, several=2):
    rows = [(v, loss + d) for v, loss in losses.items() for d in range(several)]
    return pd.DataFrame(rows, columns=["value", "loss"]).assign(method=ladder.method, variant=ladder.variant)


@pytest.mark.parametrize(
    "losses, place",
    [
        ((5, 1, 3, 9, 9), 1),
        ((1.4, 1, 1.2, 9, 9), 1),  # the middle of three
        ((9, 1, 1.4, 1.3, 1.2), 2),  # of four the gentler of the two in the middle
        ((1.1, 9, 9, 1, 1.2), 3),  # a plateau has no hole
        ((9, math.nan, 3, 9, 9), 2),
    ],
)
@pytest.mark.parametrize("falling", [False, True])
def test_the_choice_is_the_middle_of_the_best(losses, place, falling):
    values = (1.0, 2.0, 4.0, 8.0, 16.0)[:: -1 if falling else 1]
    ladder = Ladder("scrub", "lr", values)
    assert trials.choice(ladder, table(dict(zip(values, losses, strict=True)), ladder)) == values[place]


def test_a_method_that_always_fails_has_no_choice():
    with pytest.raises(ValueError, match="no value of lr of scrub has a finite loss: try others"):
        trials.choice(STEPS, table(dict.fromkeys(STEPS.values, math.nan)))


@pytest.fixture
def several(small, monkeypatch):
    monkeypatch.setenv("LFSSD_CACHE", str(small / "cache"))
    d = validation(data.load("digits", device="cpu").subset(200), 0.1)
    one = Recipe(1, lr=0.05, batch_size=32)
    return [Case(d, Architecture("resnet18", 8), "class", digit, 5, (0,), recipe=one) for digit in "35"]


def test_trials_read_neither_gold_nor_the_test_set_and_repeat(several, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a gold model was asked for")

    monkeypatch.setattr(records, "other_golds", refuse)
    monkeypatch.setattr("lfssd_nb.networks.gold.retrained", refuse)
    ladders = [
        Ladder("lfssd", "scale", (0.5, 0.2), (0.0, 1.0), most=3),
        Ladder("class_mask", "floor", (-10.0, -100.0)),
    ]
    first = trials.tune(ladders, several, tmp_path / "a", 1)
    assert len(first) >= 8 and first.groupby(["method", "value"]).target.nunique().eq(2).all()
    pd.testing.assert_frame_equal(first, trials.tune(ladders, several, tmp_path / "b", 1))
    pd.testing.assert_frame_equal(first, trials.load(ladders, several, tmp_path / "a"))


def test_a_trial_is_the_method_on_the_original_judged_by_hand(several, tmp_path):
    row = trials.tune([Ladder("lfssd", "scale", (0.5, 0.3), most=2)], several[:1], tmp_path, 1).iloc[1]
    d, scenario = cases.setting(several[0])
    model = trained(d, several[0].architecture, several[0].recipe, 5, show=False)
    task = baselines.make(d, scenario, several[0].architecture, several[0].recipe, 5)
    new = baselines.METHODS["lfssd"](model, task, scale=0.3)
    parts = {
        "retained": (d.train_x[scenario.retain], d.train_y[scenario.retain]),
        "unseen": (d.test_x[d.test_y != 3], d.test_y[d.test_y != 3]),
        "forgotten": (d.train_x[scenario.forget], d.train_y[scenario.forget]),
    }
    (r0, v0, _), (r, v, f) = (
        [how_accurate.accuracy(net, *part) / 100 for part in parts.values()] for net in (model, new)
    )
    assert [row[name] for name in parts] == pytest.approx([100 * r, 100 * v, 100 * f], abs=1e-3)
    assert row.loss == pytest.approx(
        100 * (1 - (1 - max(0, r0 - r)) * (1 - max(0, v0 - v)) * (1 - f)), abs=1e-3
    )


def test_a_value_at_which_a_method_fails_is_a_row_with_an_error(several, tmp_path):
    found = trials.tune([Ladder("finetune", "lr", (0.01, 1e30), most=2)], several[:1], tmp_path, 1)
    assert found.set_index("value").error.notna().to_dict() == {0.01: False, 1e30: True}
    assert trials.choice(Ladder("finetune", "lr", (0.01, 1e30), most=2), found) == 0.01
