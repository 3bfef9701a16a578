"""The complete way of a stranger, on four kinds of data with four kinds of network: train, gold, forget,
audit, sweep, picture, record and resume; for a class, a group and a single sample."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_wine

from lfssd_nb import audit, data, explorer, importance, lab, networks, sweeps
from lfssd_nb.data import Dataset, scenarios
from lfssd_nb.lab import cases, records
from lfssd_nb.networks import Architecture, Recipe, training

BASELINES = ("finetune", "gradient_ascent", "neggrad_plus", "random_labels", "scrub")
SHORT = Recipe(3, 3e-3, 32, 0.05, "adamw")
TARGETS = {"class": "0", "group": "1", "index": "7"}


def tokens() -> Dataset:
    names = data.load("names", device="cpu").subset(220)
    groups = [torch.arange(len(y)) % 4 for y in (names.train_y, names.test_y)]
    return replace(names, train_group=groups[0], test_group=groups[1], groups=("a", "b", "c", "d"))


def rows() -> Dataset:
    frame = load_wine(as_frame=True).frame
    return Dataset.from_table(frame.assign(maker=np.arange(len(frame)) % 5), "target", group="maker")


def shuffle_net(d: Dataset):
    return torchvision.models.shufflenet_v2_x0_5(num_classes=len(d.classes))


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    few = digits.subset(120)
    pictures = (255 * few.images(few.train_x)).round().byte().squeeze(-1).numpy()
    for k, (picture, label) in enumerate(zip(pictures, few.train_y.tolist(), strict=True)):
        (folder / str(label)).mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / str(label) / f"writer{k % 3}_{k}.png")
    return Dataset.from_folder(folder, size=32, group=lambda path: path.name.partition("_")[0], test=0.25)


@pytest.fixture(scope="module", params=["tokens", "series", "rows", "images"])
def mine(request):
    """Data, and an architecture or a function that builds a network."""
    if request.param == "tokens":
        return tokens(), Architecture("gru", width=16)
    if request.param == "series":
        return data.load("watch", device="cpu").subset(210), Architecture("conv1d", width=8)
    if request.param == "rows":
        return rows(), Architecture("mlp", width=16)
    return request.getfixturevalue("images"), shuffle_net


@pytest.mark.parametrize("kind", TARGETS)
def test_the_whole_way(mine, kind):
    d, net = mine
    scenario = scenarios.make(d, kind, TARGETS[kind])
    done = lab.compare(
        d, scenario, net, {"lfssd": {"alpha": 1.5}, "ssd": {"alpha": 1.5}} | {name: {} for name in BASELINES},
        recipe=SHORT, metrics={"n": lambda model, d, s: len(s.forget)},
    )  # fmt: skip
    assert list(done.table.index) == ["original", "gold", "lfssd", "ssd", *BASELINES]
    assert (done.table["n"] == len(scenario.forget)).all()
    always = done.table[["retain_train_acc", "forget_train_acc", "retain_test_acc", "mia"]]
    assert np.isfinite(always.to_numpy()).all()
    assert done.table.forget_test_acc.isna().all() == (kind == "index")
    original = done.models["original"]
    golds = networks.retrained(d, scenario, net, SHORT, seeds=[1], show=False)
    stick = audit.yardstick(golds, networks.build(net, d, 9), d, scenario)
    row = audit.battery(done.models["lfssd"], d, scenario, stick, deep=kind == "class")
    missing = {name for name, value in row.items() if np.isnan(value)}
    assert missing <= ({"forget_test_acc"} if kind == "index" else set())
    i = done.unlearned["lfssd"]
    exam = sweeps.exam(d, scenario)
    cells = sweeps.grid(original, {"LFSSD": (i.forget, i.full)}, *exam, alphas=(1.5, 1e9), show=False)
    assert cells.selected.iloc[0] == i.selected_share and not cells.selected.iloc[1]
    figure = explorer.picture(original, d, scenario, {"LFSSD": (i.forget, i.full)}, 1.5, gold=golds[0])
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_record_is_found_again(mine, kind, tmp_path, monkeypatch):
    d, net = mine
    case = lab.Case(d, net, kind, TARGETS[kind], seed=0, gold_seeds=(1,), recipe=SHORT)
    runs = [lab.Run(case, name) for name in ("nothing", "retrain", "lfssd", "neggrad_plus")]
    table = records.run(runs, tmp_path, n_jobs=1)
    assert "error" not in table and list(table.method) == [run.method for run in runs]
    assert set(table.data) == {d.name} and table.n_forget.nunique() == 1
    monkeypatch.setattr(training, "fit", None)
    monkeypatch.setattr(records, "_record", None)
    pd.testing.assert_frame_equal(records.run(runs, tmp_path, n_jobs=1), table)
    other = replace(case, data=replace(d, train_x=d.train_x.flip(0)))
    assert lab.Run(other, "lfssd").key != runs[2].key  # other samples, another record


def test_importances_of_every_kind_equal_a_loop(mine):
    """Sample by sample in float64, which knows nothing of rules."""
    d, net = mine
    model = training.trained(d, net, SHORT, show=False)
    few, labels = d.train_x[:6], d.train_y[:6]
    exact = networks.build(net, d).double().eval()
    exact.load_state_dict(model.state_dict())
    x = few.double() if few.is_floating_point() else few
    for estimate, power, given in (
        (importance.sensitivity, 1, (few,)),
        (importance.fisher, 2, (few, labels)),
    ):
        found = estimate(model, *given).mean
        expected = {name: torch.zeros_like(p) for name, p in exact.named_parameters()}
        for k in range(len(x)):
            z = exact(x[k : k + 1])
            score = (
                z.square().sum() if power == 1 else torch.nn.functional.cross_entropy(z, labels[k : k + 1])
            )
            for total, g in zip(
                expected.values(), torch.autograd.grad(score, list(exact.parameters())), strict=True
            ):
                total += g.abs() ** power / len(x)
        largest = max(float(v.max()) for v in expected.values())
        for name, value in expected.items():
            assert (found[name] - value).abs().max() < 1e-4 * float(value.max()) + 1e-6 * largest, name


def test_two_workers_know_a_network_of_mine(tmp_path):
    """What decides a record's name is the same in another process, also for a function that travels there."""
    d = rows()

    def own(d):
        return torch.nn.Sequential(torch.nn.Linear(d.train_x.shape[1], 5), torch.nn.Linear(5, len(d.classes)))

    case = lab.Case(d, own, "class", "0", seed=0, gold_seeds=(1,), recipe=SHORT)
    runs = [lab.Run(replace(case, target=str(k)), "lfssd") for k in range(3)]
    table = records.run(runs, tmp_path, n_jobs=2)
    assert list(table.target) == ["0", "1", "2"] and set(table.architecture) == {"own"}


def test_a_single_sample_of_the_digits(few):
    """The most canonical request of all."""
    one = scenarios.from_index(few, [3])
    done = lab.compare(few, one, Architecture(width=8), methods="all", recipe=Recipe(1))
    assert {"original", "gold", "lfssd", "ssd", "scrub", "salun"} <= set(done.models)
    assert set(done.table.forget_train_acc) <= {0.0, 100.0} and done.table.mia.notna().all()


def test_sweep_cases_and_tuning_take_my_own(tmp_path):
    d = rows()
    case = lab.Case(d, Architecture("mlp", 8), "group", "1", seed=0, gold_seeds=(1,), recipe=SHORT)
    cells = lab.sweep_cases.run([lab.Sweep(case, scales=(0.2, 0.9))], tmp_path, n_jobs=1)
    assert list(cells.scale) == [0.2, 0.9] * 2 and cells.gap.notna().all()
    table = lab.tuning.run(lab.tuning.Tuning((case,), scales=(0.1, 0.5)), tmp_path)
    assert set(table.estimator) == {"lfssd", "ssd"} and table.loss.notna().all()
    assert len(json.dumps(table.to_dict("records"))) > 0


def test_checkpoints_of_every_kind(mine, tmp_path):
    d, net = mine
    model = training.trained(d, net, SHORT, show=False)
    own = None if isinstance(net, Architecture) else net
    path = networks.checkpoints.save(tmp_path / "net", model, net, d)
    again, _ = networks.checkpoints.load(path, d, build=own)
    assert torch.equal(networks.logits(model, d.test_x), networks.logits(again, d.test_x))
    if own:
        with pytest.raises(ValueError, match="a network of your own, shuffle_net: pass the function"):
            networks.checkpoints.load(path, d)


def test_cases_of_my_own_hash_and_differ():
    d, case = rows(), None
    builders = [lambda d: torch.nn.Linear(13, 3), lambda d: torch.nn.Sequential(torch.nn.Linear(13, 3))]
    keys = set()
    for build in builders:
        case = lab.Case(d, build, "class", "0", seed=0, gold_seeds=(1,))
        assert cases.setting(case)[1].kind == "class" and {case: 1}[case] == 1
        keys.add(lab.Run(case, "lfssd").key)
    assert len(keys) == 2
