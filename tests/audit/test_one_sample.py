"""The smallest requests: one sample to forget, one class to retain, one test image. Every function that takes
a scenario gives a number, NaN where its docstring says so, or refuses by name."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from lfssd_nb import audit, baselines, lab, networks, sweeps, unlearn
from lfssd_nb.audit import lira, relearn
from lfssd_nb.data import scenarios
from lfssd_nb.explorer.trial import Trial
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe

MLP, SHORT = Architecture("mlp", 8), Recipe(epochs=1)
QUICK = {"epochs": 1, "noise_steps": 1, "steps": 1}


def with_one(few, split: str, label: int | None = None):
    """``few`` with one sample of a class alone in D, or with one test sample (of that class)."""
    y = getattr(few, f"{split}_y")
    of = (y == label).nonzero()[:, 0]
    keep = torch.ones(len(y), dtype=torch.bool) if split == "train" else torch.zeros(len(y), dtype=torch.bool)
    keep[of[1:] if split == "train" else of[:1]] = split == "test"
    return replace(few, **{f"{split}_x": getattr(few, f"{split}_x")[keep], f"{split}_y": y[keep]})


def cases(few) -> dict:
    alone = with_one(few, "train", 3)
    people = (torch.arange(len(few.train_y)) == 7).long(), (torch.arange(len(few.test_y)) == 2).long()
    grouped = replace(few, train_group=people[0], test_group=people[1], groups=("others", "one"))
    return {
        "index": (few, scenarios.from_index(few, [7])),
        "random": (few, scenarios.make(few, "random", 1)),
        "class": (alone, scenarios.forget_class(alone, 3)),
        "subclass": (alone.coarsen(), scenarios.forget_subclass(alone.coarsen(), 3)),
        "group": (grouped, scenarios.forget_group(grouped, "one")),
    }


KINDS = pytest.mark.parametrize("kind", ["index", "random", "class", "subclass", "group"])


def measured(d, scenario, deep=True) -> dict:
    model = networks.trained(d, MLP, SHORT, show=False)
    golds = networks.retrained(d, scenario, MLP, SHORT, [1, 2], show=False)
    yardstick = audit.yardstick(golds, networks.build(MLP, d, 9), d, scenario)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return audit.battery(model, d, scenario, yardstick, deep)


@KINDS
def test_every_metric(few, kind):
    d, scenario = cases(few)[kind]
    assert len(scenario.forget) == 1
    row = measured(d, scenario)
    of_its_kind = len(scenario.test_forget) > 0
    assert {name for name, value in row.items() if math.isnan(value)} == (
        set() if of_its_kind else {"forget_test_acc"}
    )
    assert row["forget_train_acc"] in (0, 100) and row["mia"] in (0, 1)
    assert {"relearn", "probe"} <= set(row) if of_its_kind else not {"relearn", "probe"} & set(row)


def conv(d):
    """With batch norm, which cannot train on one sample."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, len(d.classes))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("index", "class", "group") for name, m in baselines.METHODS.items()
     if kind in m.kinds],
)  # fmt: skip
def test_every_method(few, kind, name):
    d, scenario = cases(few)[kind]
    method = baselines.METHODS[name]
    model = networks.trained(d, conv, SHORT, show=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* changed nothing")  # after one epoch no weight is D_f's alone
        settings = {k: v for k, v in QUICK.items() if k in method.defaults}
        new = method(model, baselines.make(d, scenario, conv, SHORT), **settings)
    z = networks.logits(new, d.test_x)  # which raises for what is not finite
    assert z.shape == (len(d.test_y), len(d.classes)) and not new.training


@KINDS
def test_a_sweep_and_the_explorer(few, kind):
    d, scenario = cases(few)[kind]
    model = networks.trained(d, MLP, SHORT, show=False)
    pair = sensitivity(model, d.train_x[scenario.forget]), sensitivity(model, d.train_x)
    cells = sweeps.grid(model, {"LFSSD": pair}, *sweeps.exam(d, scenario), scales=[0.1, 1], lams=[0, 1])
    assert len(cells) == 4 and cells.forgotten.between(0, 100).all() and cells.retained.between(0, 100).all()
    trial = Trial(model, d, scenario, {"LFSSD": pair}, model)
    shown = len(scenario.test_forget) or 1  # test images of the kind, or the sample itself
    assert trial.forgotten_samples == shown and 0 <= trial.read(2.0, 1.0).score.retained <= 100


@KINDS
def test_a_comparison(few, kind):
    d, scenario = cases(few)[kind]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* changed nothing")
        done = lab.compare(d, scenario, MLP, ["lfssd", "ssd", "finetune"], recipe=SHORT)
    assert list(done.table.index) == ["original", "gold", "lfssd", "ssd", "finetune"]
    assert set(done.table.forget_train_acc) <= {0.0, 100.0} and done.table.mia.notna().all()


def test_importances_of_one_sample_are_its_gradients(few, tiny):
    x, y = few.train_x[7:8], few.train_y[7:8]
    one, full = sensitivity(tiny, x), sensitivity(tiny, few.train_x)
    assert unlearn.lfssd(tiny, one, full, alpha=2).report is not None
    assert fisher(tiny, x, y).samples == one.samples == 1


def test_relearning_probing_and_shadows_of_one(few, tiny):
    d, scenario = cases(few)["class"]
    assert len(relearn.relearn_class(tiny, d, scenario, n=1, steps=2)) == 3
    assert 0 <= audit.probe_auroc(tiny, d, scenario) <= 1
    for name in ("index", "random"):
        for metric, options in ((audit.probe_auroc, {}), (relearn.relearn_class, {"n": 1})):
            with pytest.raises(ValueError, match=f"{name} forgetting has no forgotten test images"):
                metric(tiny, *cases(few)[name], **options)
    with pytest.raises(ValueError, match="holds none of the 1 images to forget: take a larger pool"):
        lira.unlearned_shadows(few, lambda *_: tiny, lambda model, *_: model, [7], 2, show=False)
    with pytest.raises(ValueError, match=r"the pool is not inside D: positions 100 to 100"):
        lira.unlearned_shadows(few, lambda *_: tiny, lambda model, *_: model, [100], 2, show=False)


# ---- the other extremes


def test_one_test_image(few):
    """Of it half cannot be kept for scoring: no attack, so NaN. The rest is what it is."""
    d = with_one(few, "test", 4)
    row = measured(d, scenarios.forget_class(d, 3))
    assert {name for name, value in row.items() if math.isnan(value)} == {"mia", "forget_test_acc"}


def test_one_test_image_and_it_is_forgotten(few):
    d = with_one(few, "test", 3)
    scenario = scenarios.forget_class(d, 3)
    row = measured(d, scenario)
    nan = {name for name, value in row.items() if math.isnan(value)}
    assert nan == {"mia", "retain_test_acc", "js_test", "tow"} and "relearn" in row and "probe" not in row
    model = networks.build(MLP, d)
    with pytest.raises(ValueError, match="all 1 test images are forgotten: a probe has no others"):
        audit.probe_auroc(model, d, scenario)
    with pytest.raises(ValueError, match="leaves 0 retained and 1 forgotten test images"):
        sweeps.exam(d, scenario)


@pytest.mark.parametrize(("n_retained", "n_test"), [(1, 5), (2, 2), (2, 3), (3, 2), (5, 1), (2, 9)])
def test_the_attack_with_few_samples_a_side(few, tiny, n_retained, n_test):
    d = replace(few, test_x=few.test_x[:n_test], test_y=few.test_y[:n_test])
    found = audit.entropy_attack(tiny, d, scenarios.from_index(d, range(n_retained, len(d.train_y))))
    undefined = min(n_retained, n_test) < 2
    assert all(math.isnan(v) == undefined and not v < 0 for v in vars(found).values())


def test_one_class_is_retained(few):
    keep, test = (few.train_y < 2).nonzero()[:, 0], (few.test_y < 2).nonzero()[:, 0]
    d = replace(
        few, train_x=few.train_x[keep], train_y=few.train_y[keep], test_x=few.test_x[test],
        test_y=few.test_y[test], classes=("0", "1"), parents=None, superclasses=None,
    )  # fmt: skip
    row = measured(d, scenarios.forget_class(d, 1))
    assert all(map(math.isfinite, (v for k, v in row.items() if k != "relearn")))


def test_one_sample_is_retained(few):
    with pytest.raises(ValueError, match="training needs at least two samples, got 1"):
        networks.retrained(few, scenarios.from_index(few, range(1, 100)), MLP, SHORT, show=False)
