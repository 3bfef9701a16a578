"""Re-dampening in memory and the grid: the same networks as `dampen`, each evaluated once."""

import copy
import itertools
import math

import pandas as pd
import pytest
import torch
from torch import nn

from lfssd_nb import networks, unlearn
from lfssd_nb.audit import how_accurate
from lfssd_nb.dampening import dampen
from lfssd_nb.data import scenarios
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.lab import cases, jobs, sweep_cases
from lfssd_nb.networks import gold, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.seeds import training_seed
from lfssd_nb.redampen import Dial
from lfssd_nb.sweeps import grids

CASES = [
    cases.Case("cifar10", Architecture("resnet18", 8), "class", target, seed, gold_seeds=(0, 1))
    for seed, target in itertools.product((0, 1), ("3", "8"))
]
SWEEPS = [sweep_cases.Sweep(case, scales=(0.1, 0.3, 2.0), lams=(1.0, 0.5)) for case in CASES]
CELLS = list(itertools.product((0.5, 1.5, 3.0, 8.0, 50.0), (0.0, 0.5, 1.0)))


@pytest.fixture(scope="module")
def three(digits):
    return scenarios.forget_class(digits, 3)


@pytest.fixture(scope="module", params=["tiny", "resnet18", "vit"])
def net(request, tiny, digits):
    if request.param == "tiny":
        return tiny
    return networks.build(Architecture(request.param, width=8), digits, seed=1).eval()


@pytest.fixture(scope="module")
def pair(net, digits, three):
    x = digits.train_x[:300]
    return sensitivity(net, x[digits.train_y[:300] == 3]), sensitivity(net, x)


def test_a_dial_has_the_weights_of_dampen_bit_for_bit(net, pair, digits):
    dial = Dial(net, *pair)
    before = [p.clone() for p in net.parameters()]
    for alpha, lam in (*CELLS, CELLS[0]):  # back to a smaller alpha, too: nothing is left of the last one
        expected, report = dampen(net, *pair, alpha, lam)
        got = dial.at(alpha, lam)
        for (name, p), q in zip(expected.named_parameters(), got.parameters(), strict=True):
            assert torch.equal(p, q), (name, alpha, lam)
        assert len(dial.chosen(alpha)) == report.selected.sum()
    assert torch.equal(networks.logits(expected, digits.test_x), networks.logits(got, digits.test_x))
    assert all(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))


def test_a_dial_in_half_precision_rounds_once(tiny, digits, three):
    half = copy.deepcopy(tiny).bfloat16()
    x = digits.train_x.bfloat16()
    pair = sensitivity(half, x[three.forget]), sensitivity(half, x)
    dial = Dial(half, *pair)
    for alpha, lam in ((1.1, 0.5), (1.5, 1.0)):
        expected, report = dampen(half, *pair, alpha, lam)
        assert report.selected.sum() > 10
        assert all(map(torch.equal, expected.parameters(), dial.at(alpha, lam).parameters()))


def test_importances_of_some_parameters(tiny, digits, three):
    names = ["4.weight", "4.bias"]
    part = [sensitivity(tiny, x, parameters=names) for x in (digits.train_x[three.forget], digits.train_x)]
    expected, _ = dampen(tiny, *part, 1.5, 0.5, parameters=names)
    dial = Dial(tiny, *part)
    assert dial.names == names
    assert all(map(torch.equal, expected.parameters(), dial.at(1.5, 0.5).parameters()))


def test_stacked_networks_answer_like_single_ones(net, pair, digits):
    dial = Dial(net, *pair)
    together = dial.logits(digits.test_x, CELLS)
    for cell, z in zip(CELLS, together, strict=True):
        alone = networks.logits(dial.at(*cell), digits.test_x)
        assert (z - alone).abs().max() < 1e-4
        clear = alone.topk(2, 1).values.diff(dim=1).abs()[:, 0] > 1e-3
        assert torch.equal(z.argmax(1)[clear], alone.argmax(1)[clear])


def test_only_some_parameters(net, pair):
    names = [name for name, _ in net.named_parameters()]
    dial = Dial(net, *pair, only=names[-2:])
    everywhere, _ = dampen(net, *pair, 1.5, 0.5)
    expected = {k: p for k, p in everywhere.named_parameters()}
    changed = 0
    for (name, p), original in zip(dial.at(1.5, 0.5).named_parameters(), net.parameters(), strict=True):
        assert torch.equal(p, expected[name] if name in names[-2:] else original)
        changed += int((p != original).sum())
    assert changed


def test_a_threshold_for_each_parameter(net, pair):
    dial = Dial(net, *pair)
    low, high = (dict(dampen(net, *pair, alpha, 0.5)[0].named_parameters()) for alpha in (1.1, 3.0))
    alphas = {name: 1.1 if k % 2 else 3.0 for k, name in enumerate(dial.names)}
    for name, p in dial.at(alphas, 0.5).named_parameters():
        assert torch.equal(p, (low if alphas[name] == 1.1 else high)[name])
    with pytest.raises(ValueError, match="one alpha a parameter"):
        dial.at(dict(list(alphas.items())[1:]))
    with pytest.raises(ValueError, match="alpha must be positive"):
        dial.at(alphas | {dial.names[0]: -1.0})


def test_a_dial_says_what_it_cannot_do(net, pair):
    with pytest.raises(ValueError, match="no importance of 'layer9'; choose from"):
        Dial(net, *pair, only=["layer9"])
    with pytest.raises(ValueError, match="leaves no parameter"):
        Dial(net, *pair, only=[])
    with pytest.raises(ValueError, match="alpha must be positive"):
        Dial(net, *pair).at(0.0)
    with pytest.raises(ValueError, match="lam"):
        Dial(net, *pair).at(1.0, -1.0)
    with pytest.raises(ValueError, match="not inside D"):
        Dial(net, pair[1], pair[0])


def test_a_dial_on_two_types_of_weights(tiny, digits):
    mixed = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 10))
    mixed[2].double()
    i = {name: torch.ones_like(p) for name, p in mixed.named_parameters()}
    with pytest.raises(ValueError, match="several kinds"):
        Dial(mixed, i, i)
    Dial(mixed, i, i, only=["1.weight", "1.bias"])


def test_a_grid_is_what_dampen_and_accuracies_say(tiny, digits, three):
    x, y, index = digits.train_x, digits.train_y, three.forget
    pairs = {
        "LFSSD": (sensitivity(tiny, x[index]), sensitivity(tiny, x)),
        "SSD": (fisher(tiny, x[index], y[index]), fisher(tiny, x, y)),
    }
    found = grids.grid(tiny, pairs, *grids.exam(digits, three), alphas=(1.2, 4, 30), lams=(1, 0.3))
    assert len(found) == 12
    assert list(found.estimator[:6].unique()) == ["LFSSD"] and list(found.lam[:2]) == [1, 0.3]
    for row in found.itertuples():
        model, report = dampen(tiny, *pairs[row.estimator], row.alpha, row.lam)
        right = how_accurate.accuracies(model, digits, three)
        assert (row.retained, row.forgotten) == (right["retain_test_acc"], right["forget_test_acc"])
        assert row.selected == pytest.approx(report.selected.sum() / report["size"].sum())
        assert row.scale == pytest.approx(row.alpha / three.ceiling)
    assert found.selected.nunique() > 3 and found.retained.nunique() > 3


def test_scales_are_alphas_in_units_of_the_ceiling(tiny, digits, three):
    x = digits.train_x
    pairs = {"LFSSD": (sensitivity(tiny, x[three.forget]), sensitivity(tiny, x))}
    exam = grids.exam(digits, three)
    a = grids.grid(tiny, pairs, *exam, scales=(0.2, 0.5))
    b = grids.grid(tiny, pairs, *exam, alphas=[0.2 * three.ceiling, 0.5 * three.ceiling])
    assert a.drop(columns="scale").equals(b.drop(columns="scale"))


def test_equal_networks_are_evaluated_once(tiny, digits, three):
    x = digits.train_x
    pairs = {"LFSSD": (sensitivity(tiny, x[three.forget]), sensitivity(tiny, x))}
    asked = []

    def measure(z):
        asked.append(z)
        return {"answer": len(asked)}

    alphas = (3.0, 3.0, three.ceiling + 1, three.ceiling + 2, 0.2, 0.1, 0.49)
    found = grids.grid(tiny, pairs, digits.test_x, measure, alphas, lams=(1.0, 0.5))
    # alpha 3 with two lambdas, the untouched network, and all alphas below a lambda: the factor is cut at 1
    assert len(found) == 14 and len(asked) == 5
    assert found.answer.tolist() == [1, 2, 1, 2, 3, 3, 3, 3, 4, 5, 4, 5, 4, 5]
    assert found.selected.tolist()[8] < found.selected.tolist()[10]
    for alpha, lam, z in ((0.1, 1.0, asked[3]), (0.49, 0.5, asked[4])):
        assert torch.equal(networks.logits(dampen(tiny, *pairs["LFSSD"], alpha, lam)[0], digits.test_x), z)
    assert torch.equal(asked[2], networks.logits(tiny, digits.test_x))


def test_stacking_a_grid_changes_nothing_but_the_last_digits(tiny, digits, three):
    x = digits.train_x
    pairs = {"LFSSD": (sensitivity(tiny, x[three.forget]), sensitivity(tiny, x))}
    found = [
        grids.grid(tiny, pairs, *grids.exam(digits, three), alphas=(1.5, 2, 4, 20), lams=(1, 0.5), **how)
        for how in ({}, {"stack": 3}, {"megabytes": 3.0})
    ]
    one, *stacked = (each.drop(columns=["estimator", "layers"]) for each in found)
    for many in stacked:
        assert (one - many).abs().max().max() < 0.3  # no more than a retained image flips


def test_as_many_networks_are_stacked_as_fit(tiny, digits):
    # 80 + 16 + 1290 weights; four layers put out 128 numbers an image, the last 10
    one = 4 * (1386 + 100 * (4 * 128 + 10))
    mb = 2**20
    assert grids.fitting(tiny, digits.test_x, 7.5 * one / mb, batch_size=100) == 7
    assert grids.fitting(tiny, digits.test_x[:100], 7.5 * one / mb) == 7
    assert grids.fitting(tiny, digits.test_x, 0) == 1
    assert not any(layer._forward_hooks for layer in tiny.modules())


def test_the_exam_of_random_forgetting_asks_for_the_forget_set_itself(tiny, digits):
    scenario = scenarios.forget_random(digits, 50, seed=3)
    x, measure = grids.exam(digits, scenario)
    right = how_accurate.accuracies(tiny, digits, scenario)
    assert measure(networks.logits(tiny, x)) == {
        "retained": right["retain_test_acc"], "forgotten": right["forget_train_acc"],
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["class", "random"])
def test_parts_of_an_exam_make_up_the_whole(tiny, digits, kind):
    scenario = scenarios.make(digits, kind, 30 if kind == "random" else 3)
    halves = []
    for part in (slice(0, None, 2), slice(1, None, 2)):
        x, measure = grids.exam(digits, scenario, part)
        halves.append(measure(networks.logits(tiny, x)))
    x, measure = grids.exam(digits, scenario)
    whole = measure(networks.logits(tiny, x))
    n = len(scenario.test_retain)
    right = [
        round(half["retained"] / 100 * size) for half, size in zip(halves, (-(-n // 2), n // 2), strict=True)
    ]
    assert sum(right) == round(whole["retained"] / 100 * n) and halves[0] != halves[1]
    if kind == "class":
        assert torch.equal(x, digits.test_x)


def test_a_grid_says_what_is_missing(tiny, digits, three):
    i = sensitivity(tiny, digits.train_x[:20])
    exam = grids.exam(digits, three)
    with pytest.raises(ValueError, match="alphas or scales"):
        grids.grid(tiny, {"LFSSD": (i, i)}, *exam)
    with pytest.raises(ValueError, match="alphas or scales"):
        grids.grid(tiny, {"LFSSD": (i, i)}, *exam, alphas=[1], scales=[0.1])
    with pytest.raises(ValueError, match="no cell"):
        grids.grid(tiny, {}, *exam, alphas=[1])
    with pytest.raises(ValueError, match="at least 1 network, got 0"):
        grids.grid(tiny, {"LFSSD": (i, i)}, *exam, alphas=[1], stack=0)
    with pytest.raises(ValueError, match="lam"):
        grids.grid(tiny, {"LFSSD": (i, i)}, *exam, alphas=[1e6], lams=[1, -1])
    with pytest.raises(ValueError, match="leaves 259 retained and 0 forgotten"):
        grids.exam(digits, three, slice(100, None))


def test_the_front_is_what_nothing_beats():
    cells = pd.DataFrame({"retained": [99, 98, 98, 90, 99, 50], "forgotten": [50, 20, 30, 0, 50, 0]})
    assert grids.front(cells).index.tolist() == [0, 4, 1, 3]  # 2 and 5 are beaten, equal cells both stay
    nan, inf = math.nan, math.inf
    broken = pd.DataFrame(
        {"retained": [nan, 100, inf, nan], "forgotten": [0, nan, 0, nan]}, index=range(6, 10)
    )
    assert grids.front(pd.concat([cells, broken])).index.tolist() == [0, 4, 1, 3]
    assert grids.front(broken).empty


# ---- many cases


@pytest.fixture
def places(small, monkeypatch):
    monkeypatch.setenv("LFSSD_DATA", str(small))
    monkeypatch.setenv("LFSSD_CACHE", str(small / "cache"))
    cases._dataset.cache_clear()
    with jobs.single_threaded():  # like the runner's workers: other models otherwise
        yield
    cases._dataset.cache_clear()


def test_a_sweep_over_cases_is_a_grid_on_each(places, tmp_path, monkeypatch):
    counted = []
    spied = sweep_cases.importance
    monkeypatch.setattr(sweep_cases, "importance", lambda *a: counted.append(len(a[2])) or spied(*a))
    found = sweep_cases.run(SWEEPS, tmp_path, n_jobs=1)
    assert (
        len(found) == 4 * 12 and not found.duplicated(["seed", "target", "estimator", "scale", "lam"]).any()
    )
    assert counted.count(100) == 4  # I(D): two networks, two estimators, whatever the targets
    d, scenario = cases.setting(CASES[3])
    model = training.trained(d, CASES[3].architecture, None, 1, show=False)
    done = unlearn.lfssd(model, d.train_x[scenario.forget], d.train_x, 0.3 * scenario.ceiling, 0.5)
    right = how_accurate.accuracies(done.model, d, scenario)
    row = found.query(f"seed == {training_seed(1)} and target == '8' and estimator == 'LFSSD' and lam == 0.5")
    row = row[row.scale.sub(0.3).abs() < 1e-9].iloc[0]
    assert row.selected == pytest.approx(done.selected_share) and row.selected > 0
    assert (row.retained, row.forgotten) == (right["retain_test_acc"], right["forget_test_acc"])
    other = gold.retrained(d, scenario, CASES[3].architecture, None, [0], show=False)[0]
    right = how_accurate.accuracies(other, d, scenario)
    assert (row.gold_retained, row.gold_forgotten) == (right["retain_test_acc"], right["forget_test_acc"])
    assert row.gap == (abs(row.retained - row.gold_retained) + abs(row.forgotten - row.gold_forgotten)) / 2


def test_a_sweep_resumes(places, tmp_path, monkeypatch):
    first = sweep_cases.run(SWEEPS[:1], tmp_path, n_jobs=1)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    both = sweep_cases.run(SWEEPS[:2], tmp_path, n_jobs=1)
    assert len(both) == 2 * len(first) and both[: len(first)].equals(first)
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    monkeypatch.setattr(sweep_cases, "_cells", None)
    assert sweep_cases.run(SWEEPS[:2], tmp_path, n_jobs=1).equals(both)
    assert len(sweep_cases.load(tmp_path, SWEEPS)) == len(both)


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="unknown estimator 'hessian'; choose from LFSSD, SSD"):
        sweep_cases.Sweep(CASES[0], (0.1,), estimators=("hessian",))


@pytest.mark.parametrize(
    "wrong", [dict(scales=()), dict(scales=(-1.0,)), dict(lams=(math.nan,)), dict(lams=())], ids=str
)
def test_an_impossible_sweep_is_refused_before_any_work(wrong):
    with pytest.raises(ValueError, match=r"at least one|must be"):
        sweep_cases.Sweep(**({"case": CASES[0], "scales": (0.1,)} | wrong))
