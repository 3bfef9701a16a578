"""The published experiments: the right settings, a plan first, nothing twice, nothing lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from killing import HOLD, kill_group
from patience import wait_until
from test_runner import state

from lfssd_nb import baselines, cli, data, importance, networks
from lfssd_nb.audit import how_accurate
from lfssd_nb.baselines import ssd_and_lfssd
from lfssd_nb.baselines.importance_memory import Memory
from lfssd_nb.data import scenarios
from lfssd_nb.lab import cases, records, sweep_cases, tuning
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.lab.read_records import RECORDS
from lfssd_nb.lab.sweep_cases import Sweep
from lfssd_nb.networks import checkpoints, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.seeds import VARIABLE, training_seed
from lfssd_nb.paper import plan, published, reproduce, sizes, throughput
from lfssd_nb.system import files

STAGE = "cifar10-random-resnet18"
COMMAND = ["reproduce", "--profile", "small", "--stages", STAGE, "--seeds", "0", "1", "--images", "100",
           "--epochs", "1", "--device", "cpu", "--jobs", "1"]  # fmt: skip
CASE = Case("cifar10", Architecture("resnet18", 16), "class", "3", 0, (0, 1), 100, Recipe(1))


@pytest.fixture(autouse=True)
def surroundings_of_a_run(small, tmp_path, monkeypatch):
    monkeypatch.setenv("LFSSD_DATA", str(small))
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "cache"))
    cases._dataset.cache_clear()
    yield
    cases._dataset.cache_clear()


# ---- what was published (typed from the papers' code, not imported)

PUBLISHED = {  # scenario: (SSD ResNet18, SSD ViT, LFSSD), lambda 1
    ("cifar20", "class"): (10, 5, 5), ("cifar100", "class"): (10, 5, 10),
    ("cifar20", "subclass"): (10, 25, 10), ("cifar10", "random"): (10, 10, 3.5),
}  # fmt: skip
CLASSES = {
    ("cifar20", "class"): {"19", "4", "14", "5", "10"}, ("cifar100", "class"): {"69", "51", "2", "40", "71"},
    ("cifar20", "subclass"): {"69", "51", "2", "40", "71"},
}  # fmt: skip


def test_stages_have_the_published_settings_and_classes():
    cifar = [stage for stage in published.STAGES if stage.data.startswith("cifar")]
    assert len(cifar) == 8 == len({(s.data, s.kind, s.network) for s in cifar})
    for stage in cifar:
        resnet, vit, lfssd = PUBLISHED[stage.data, stage.kind]
        assert (stage.ssd, stage.lfssd, stage.lam) == (vit if stage.network == "vit" else resnet, lfssd, 1)
        if stage.kind != "random":
            assert set(stage.targets) == CLASSES[stage.data, stage.kind]
    pins = next(stage for stage in published.STAGES if stage.data == "pins")
    assert (pins.ssd, pins.lam, pins.targets) == (50, 0.1, ("1", "10", "20", "30", "40"))
    assert published.published(pins, "lfssd") is None


def test_published_importances_are_batch_means_in_the_order_of_the_reference():
    for stage in published.STAGES:
        expected = dict(alpha=stage.ssd, lam=stage.lam, reduction="batch", order="reference")
        expected["batch_size"] = 128 if stage.kind == "random" else 64  # of D_f and of D
        assert published.published(stage, "ssd") == expected
        if stage.data in ("cifar20", "cifar10"):
            assert published.published_settings("ssd", stage.network, stage.kind) == expected
            for method in ("ssd", "lfssd"):
                baselines.get(method).check(published.published_settings(method, stage.network, stage.kind))
    assert published.published_settings("lfssd", "vit", "class", "cifar100")["alpha"] == 10
    assert published.published_settings("lfssd", "resnet18", "class")["alpha"] == 5
    for odd in (("jit", "vit", "class"), ("ssd", "gru", "class"), ("ssd", "vit", "group")):
        with pytest.raises(
            ValueError, match=f"no published settings of '{odd[0]}' .*choose 'ssd' or 'lfssd'"
        ):
            published.published_settings(*odd)
    with pytest.raises(
        ValueError, match="no published settings of 'lfssd' for 'resnet18', 'class' and 'pins'"
    ):
        published.published_settings("lfssd", "resnet18", "class", "pins")


def test_one_alpha_is_tuned_on_no_target_and_one_is_searched_on_each_alone():
    two = replace(sizes.PROFILES["small"], n_targets={published.STAGES[0].name: 2})
    job = published.Job(published.STAGES[0], two)
    tuned, *own = job.tunings()
    assert [case.target for case in tuned.cases] == [*job.stage.validation] and tuned.cases[0].seed == 0
    assert [case for each in own for case in each.cases] == job.cases() and len(own) == 3
    searched = {case: {"lfssd": k / 10} for k, case in enumerate(job.cases())}
    found = published.runs(job, {"lfssd": 0.9}, searched, ["lfssd"])
    scales = {(run.case, run.variant): run.settings.get("scale") for run in found}
    for case in job.cases():
        assert scales[case, "tuned"] == 0.9 and scales[case, "searched"] == searched[case]["lfssd"]
    assert not [s for s in published.STAGES if set(s.targets) & set(s.validation) or len(s.validation) < 3]


def test_the_paper_profile_is_the_papers_scale():
    job = published.Job(published.STAGES[0], sizes.PROFILES["paper"], "cpu")
    found = published.runs(job, {"ssd": 0.5, "lfssd": 0.4})
    assert job.architecture == Architecture("resnet18", 64) and job.recipe.epochs <= 30
    assert {run.case.images for run in found} == {None} and len({run.case.seed for run in found}) >= 3
    assert {run.case.target for run in found} == CLASSES["cifar100", "class"]
    missing = set(baselines.METHODS) - {run.method for run in found}
    assert missing == {"ntk_scrubbing"}  # needs the Jacobian of the whole network


def test_a_new_field_of_a_case_leaves_old_records_their_names(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    table = pd.read_csv(RECORDS / "all_digits.csv")
    case = Case("digits", Architecture("resnet18", 16), "class", "4", 2)
    stored = table[(table.target == 4) & (table.seed == 2) & (table.method == "lfssd")]
    assert [*stored.key] == [Run(case, "lfssd").key]
    changes = [{"images": 5}, {"recipe": Recipe(1)}, {"recipe": Recipe(2)}, {"device": "cuda"}]
    assert len({Run(replace(case, **each), "lfssd").key for each in changes} - {*stored.key}) == 4
    sweep = Sweep(Case("digits", Architecture("resnet18", 16), "class", "3", 0), (0.1, 0.5))
    assert sweep.key == "812929d8e73da8769f0b"  # before `Case` had the fields below
    assert len({replace(sweep, case=replace(sweep.case, **each)).key for each in changes} - {sweep.key}) == 4


def test_a_method_with_other_results_leaves_its_old_records_and_those_of_the_others(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    case = Case("digits", Architecture("resnet18", 16), "class", "3", 0)
    for method, settings, first in (  # names of records from before there were versions
        ("jit", {"lr": 0.001}, "eb7e7f22299c3a1f77cd"),
        ("assd", {}, "0ae2f84ed59f256ceaf0"),
        ("scrub", {"lr": 0.05}, "08cdc71a10a576fdd6d5"),
    ):
        now, keys = baselines.METHODS[method], []
        for version in (1, 2, 3, now.version):
            monkeypatch.setitem(baselines.METHODS, method, replace(now, version=version))
            keys.append(Run(case, method, "tuned", settings, deep=True).key)
        assert keys[0] == first and len(set(keys[:3])) == 3
        assert (keys[3] == first) == (method != "scrub")


# ---- I(D) once


def test_importances_of_d_are_computed_once_and_paid_for_by_everyone(tmp_path):
    how = [("lfssd", {}), ("lfssd", {"scale": 0.2}), ("ssd", {}), ("assd", {}), ("lfssd", {"scale": 0.3})]
    runs = [Run(CASE, name, str(k), settings) for k, (name, settings) in enumerate(how)]
    passes = [
        records.run(part, tmp_path / name, 1).set_index("variant").passes.sort_index()
        for name, part in (("there", runs), ("back", runs[::-1]))
    ]
    pd.testing.assert_series_equal(passes[0], passes[1])
    assert (passes[0] > 1).all()  # D is in every one of them


def test_one_computation_of_i_d_serves_every_class_of_an_original(tmp_path, monkeypatch):
    def sensitivity(model, x, **how):
        sizes.append(len(x))
        return importance.sensitivity(model, x, **how)

    sizes, runs = [], [Run(replace(CASE, target=target), "lfssd") for target in "357"]
    monkeypatch.setattr(ssd_and_lfssd, "sensitivity", sensitivity)
    table = records.run(runs, tmp_path / "records", 1)
    assert sizes.count(100) == 1 and len(sizes) == 4 and sum(sizes) == 100 + table.n_forget.sum()
    alone = [records.run([run], tmp_path / run.case.target, 1) for run in runs]
    pd.testing.assert_frame_equal(
        table.drop(columns="seconds"), pd.concat(alone, ignore_index=True).drop(columns="seconds")
    )


def test_a_sweep_is_of_the_network_that_its_case_names(tmp_path):
    """Two recipes in one call: each its own original, gold and I(D)."""
    two = [Sweep(replace(CASE, recipe=recipe), (0.1, 0.5)) for recipe in (Recipe(1), Recipe(2))]
    both = sweep_cases.run(two, tmp_path / "both", 1)
    alone = [sweep_cases.run([each], tmp_path / str(k), 1) for k, each in enumerate(two)]
    assert not alone[0].equals(alone[1])
    pd.testing.assert_frame_equal(both, pd.concat(alone, ignore_index=True))
    assert len([*(tmp_path / "cache" / "models").iterdir()]) == 2 * 3


def test_memory_recalls_what_it_computed_for_one_model(few):
    first, other = (networks.build(Architecture("resnet18", 16), few, seed).eval() for seed in (0, 1))
    memory, how = Memory(), dict(reduction="sample", batch_size=32)
    fresh = importance.sensitivity(first, few.train_x, **how)
    one = memory.importance(importance.sensitivity, first, few.train_x, **how)
    assert (
        memory.recalled == (0.0, 0)
        and memory.importance(importance.sensitivity, first, few.train_x, **how) is one
    )
    assert memory.recalled[0] > 0 and memory.recalled[1] >= len(few.train_x)
    assert all(torch.equal(one.sums[k], fresh.sums[k]) for k in fresh.sums)
    half = memory.importance(importance.sensitivity, first, few.train_x, **how | {"batch_size": 16})
    labels = memory.importance(importance.fisher, first, few.train_x, few.train_y, **how)
    assert half is not one and labels.estimator == "fisher"
    assert not torch.equal(
        memory.importance(importance.sensitivity, other, few.train_x, **how).sums["fc.weight"],
        one.sums["fc.weight"],
    )


# ---- tuning


def validation(small, **changes) -> tuning.Tuning:
    return tuning.Tuning(tuple(replace(CASE, target=t, **changes) for t in "57"), (0.1, 0.3, 0.9))


def test_tuning_sees_neither_gold_nor_test_labels(small, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(
        records, "trained", lambda d, *rest, **how: trained.append(rest) or training.trained(d, *rest, **how)
    )
    table = tuning.run(validation(small), tmp_path / "a")
    assert trained == [(CASE.architecture, CASE.recipe, 0)]  # one model, on all of D
    assert len(table) == 2 * 2 * 3 and set(table.estimator) == {"lfssd", "ssd"} and table.loss.notna().all()
    setting = cases.setting

    def blind(case):
        d, scenario = setting(case)
        return replace(d, test_y=torch.zeros_like(d.test_y)), replace(scenario, data="")

    monkeypatch.setattr(cases, "setting", blind)
    pd.testing.assert_frame_equal(tuning.run(validation(small), tmp_path / "b"), table)
    monkeypatch.setattr(tuning, "_tables", None)
    pd.testing.assert_frame_equal(tuning.run(validation(small), tmp_path / "b"), table)  # from its record


def test_the_loss_of_a_class_is_damage_and_rest_on_training_images(small, tmp_path):
    table = tuning.run(validation(small), tmp_path)
    d, scenario = cases.setting(replace(CASE, target="5"))
    model = training.trained(d, CASE.architecture, CASE.recipe, 0, show=False)
    x, measure = tuning.measured_on_training(d, scenario)
    assert len(x) == len(scenario.forget) + -(-len(scenario.retain) // 5)
    before = measure(model(x).detach())
    mine = table[table.target == "5"]
    expected = (before["retained"] - mine.retained).clip(lower=0) + mine.forgotten
    pd.testing.assert_series_equal(mine.loss, expected, check_names=False)


def test_the_best_scale_has_the_smallest_mean_loss_and_of_equals_the_largest():
    losses = {("a", 0.1): (4, 0), ("a", 0.2): (1, 1), ("a", 0.3): (2, 0), ("b", 0.1): (1,), ("b", 0.2): (9,)}
    rows = [(*key, loss) for key, several in losses.items() for loss in several]
    assert tuning.best(pd.DataFrame(rows, columns=["estimator", "scale", "loss"])) == {"a": 0.3, "b": 0.1}
    nan = float("nan")
    for bad in (nan, float("inf")):  # at one target: not the mean of the others
        rows = [("a", 0.1, 9), ("a", 0.1, 8), ("a", 0.2, 0), ("a", 0.2, bad)]
        assert tuning.best(pd.DataFrame(rows, columns=["estimator", "scale", "loss"])) == {"a": 0.1}
    with pytest.raises(ValueError, match="no scale of b has a finite loss on all targets"):
        tuning.best(pd.DataFrame([("a", 0.1, 1), ("b", 0.1, nan)], columns=["estimator", "scale", "loss"]))


def test_a_tuning_is_of_one_original():
    with pytest.raises(ValueError, match="one and the same original"):
        tuning.Tuning((CASE, replace(CASE, seed=1)))


# ---- the command


def test_a_plan_comes_first_and_does_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main([*COMMAND, "--out", str(out), "--plan"]) == 0
    said = capsys.readouterr().out
    assert STAGE in said and "training_minutes" in said and "minutes on 1 worker(s) of cpu" in said
    assert {path.name[:6] for path in out.iterdir()} == {"rates-", "images"}
    assert not (tmp_path / "cache").exists()


def test_a_second_start_computes_nothing(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    (job,) = reproduce.chosen(reproduce.profile("small", images=100, epochs=1, seeds=[0, 1]), [STAGE], "cpu")
    planned = reproduce.plan([job], None, out, 1).iloc[0]
    assert planned.training_minutes > 0 and planned.unlearning_minutes > 0
    assert cli.main([*COMMAND, "--out", str(out)]) == 0
    rows, tuned, trained = (pd.read_csv(out / f"{name}.csv") for name in ("records", "tuning", "models"))
    assert "error" not in rows and not rows.key.duplicated().any()
    assert set(rows.seed) == {*map(training_seed, (0, 1))} and set(rows.n_forget) == {20}
    assert set(rows.target) == {"20@0"}
    assert {"nothing", "retrain", "lfssd", "ssd", "assd", "xalfssd", "finetune"} <= set(rows.method)
    assert {*rows[rows.method == "lfssd"].variant} == {"published", "tuned", "searched", "default"}
    assert "origin not recorded" in rows.source[0] and rows.device_name[0].startswith("cpu (")
    assert (planned.models, planned.records) == (len(trained), len(rows))
    left = reproduce.plan([job], None, out, 1).iloc[0]
    assert not left[["models", "records", "training_minutes", "unlearning_minutes"]].any()
    assert len(tuned) == (3 + 2) * 2 * len(tuning.SCALES) and len(trained) == 4 and (trained.rate > 0).all()
    for case, part in tuned[tuned.variant == "searched"].groupby(["target", "seed"]):
        mine = rows[(rows.variant == "searched") & (rows.seed == case[1])]
        mine = mine.set_index("method").settings
        assert {name: json.loads(mine[name])["scale"] for name in mine.index} == tuning.best(part)
    before = {name: found for name, found in state(out).items() if name.endswith(".json")}
    monkeypatch.setattr(training, "fit", None)
    monkeypatch.setattr(records, "_record", None)
    assert cli.main([*COMMAND, "--out", str(out)]) == 0
    assert {name: found for name, found in state(out).items() if name.endswith(".json")} == before
    assert pd.read_csv(out / "records.csv").equals(rows)


def test_originals_can_be_shared(tmp_path):
    there = tmp_path / "shared"
    command = [*COMMAND, "--methods", "nothing", "--out", str(tmp_path / "out"), "--share", str(there)]
    assert cli.main(command) == 0
    names = {f"cifar10-resnet18-16-{seed}.{kind}" for seed in (0, 1) for kind in ("safetensors", "json")}
    assert {path.name for path in there.iterdir()} == names
    d = data.load("cifar10", device="cpu")
    model, about = checkpoints.load(there / "cifar10-resnet18-16-1", d)
    assert about["half"] and about["about"]["seed"] == 1 and about["about"]["recipe"]["epochs"] == 1
    assert abs(how_accurate.accuracy(model, d.test_x, d.test_y) - about["about"]["test_acc"]) < 5


def test_no_stage_that_can_run_is_an_error(tmp_path, capsys):
    assert cli.main([*COMMAND, "--stages", "pins-class-resnet18", "--out", str(tmp_path / "out")]) == 2
    assert "no stage is left to run" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_what_cannot_be_had_is_left_out_by_name(monkeypatch, capsys):
    def load(name, *_):
        if name in ("cifar100", "cifar20"):
            raise ConnectionError("no network")
        return few

    few = replace(data.load("cifar10", device="cpu"), name="olivetti")
    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(scenarios, "make", lambda d, *_: None)
    scale = replace(sizes.PROFILES["small"], images=100)
    found = [job.stage.name for job in reproduce.chosen(scale, None, "cpu")]
    assert found == ["cifar10-random-resnet18", "olivetti-class-resnet18", "cifar10-random-vit"]
    said = capsys.readouterr().err
    assert said.count("no network") == 6 and "cifar100-class-resnet18 is left out: no network" in said


def test_your_own_faces_come_before_olivetti(small, tmp_path, monkeypatch):
    (tmp_path / "pins").mkdir()
    monkeypatch.setenv("LFSSD_DATA", str(tmp_path))
    monkeypatch.setattr(cases, "setting", lambda case: None)
    names = [job.stage.name for job in reproduce.chosen(sizes.PROFILES["small"], None, "cpu")]
    assert "pins-class-resnet18" in names and "olivetti-class-resnet18" not in names


def test_without_imagenet_weights_a_vit_is_trained_from_scratch_and_called_so(monkeypatch, capsys):
    def build(*_):
        raise ConnectionError("no weights")

    monkeypatch.setattr(reproduce, "build", build)
    scale = replace(sizes.PROFILES["paper"], images=100, n_random=20)
    (job,) = reproduce.chosen(scale, ["cifar10-random-vit"], "cpu")
    assert job.architecture.size == "small" and job.recipe.epochs == sizes.SCRATCH.epochs
    assert "no weights; a ViT trained from scratch" in capsys.readouterr().err
    scale = replace(reproduce.profile("paper", images=100, epochs=2), n_random=20)
    assert reproduce.chosen(scale, ["cifar10-random-vit"], "cpu")[0].recipe.epochs == 2


def test_the_size_of_a_vit_decides_its_recipe_and_epochs_go_before():
    vit = next(stage for stage in published.STAGES if stage.name == "cifar10-random-vit")
    scratch, pretrained = (reproduce.profile("small", vit=size).recipe(vit) for size in ("small", "vit_b_16"))
    assert scratch == reproduce.profile("paper", vit="small").recipe(vit) == sizes.SCRATCH
    assert pretrained == sizes.PROFILES["paper"].recipe(vit) and pretrained.lr <= 1e-4 < scratch.lr
    assert reproduce.profile("paper", vit="small", epochs=2).recipe(vit).epochs == 2


def test_rates_are_images_by_the_clock(few, monkeypatch):
    """Of two runs the second counts; what the first took more was for choosing kernels."""
    net, recipe, clock = Architecture("resnet18", 8), Recipe(1, batch_size=16), iter([0, 7, 9, 9, 13])
    monkeypatch.setattr(throughput, "now", lambda _: next(clock))
    assert throughput.training_rate(few, net, recipe, 3) == (48 / 2, 5)
    assert throughput.floor_rate(few, net, recipe, 100) == 100 / 4
    monkeypatch.undo()
    assert throughput.training_rate(few, net, recipe)[0] > 0 < throughput.floor_rate(few, net, recipe)


def test_compiling_has_to_save_more_than_it_costs(monkeypatch, tmp_path):
    (job,) = reproduce.chosen(reproduce.profile("small", images=100, epochs=10), [STAGE], "cpu")
    for cost, pays in ((29.9, True), (30.1, False)):  # six models of 1000 images: 60 s or 30 s
        rates = {"rate": 100.0, "floor": 120.0, "compiled_rate": 200.0, "compiling_seconds": cost}
        monkeypatch.setattr(plan, "rates_of", lambda *_, rates=rates: rates)
        assert reproduce.compiled_where_it_pays(job, tmp_path).compiled is pays
    monkeypatch.setattr(plan, "rates_of", lambda *_: {"rate": 1.0, "floor": 1.0})
    assert not reproduce.compiled_where_it_pays(job, tmp_path).compiled


def test_without_a_compiler_it_goes_on(few, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("no C compiler\nmore")

    monkeypatch.setattr(plan, "training_rate", broken)
    (job,) = reproduce.chosen(reproduce.profile("small", images=100), [STAGE], "cpu")
    assert plan._compiled_rate(few, job) == {} and "no C compiler" in capsys.readouterr().err


def test_records_of_other_images_are_not_gone_on_with(small, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    command = [*COMMAND, "--methods", "nothing", "--out", str(out), "--plan"]
    assert cli.main(command) == 0 and cli.main(command) == 0
    with np.load(small / "cifar10.npz") as file:
        arrays = dict(file)
    arrays["train_images"] = 255 - arrays["train_images"]
    np.savez(tmp_path / "cifar10.npz", **arrays)
    monkeypatch.setenv("LFSSD_DATA", str(tmp_path))
    assert cli.main(command) == 2
    assert "another copy of cifar10" in (said := capsys.readouterr().err) and "--out" in said


def test_a_damaged_record_is_named_and_made_again(tmp_path):
    command = [*COMMAND, "--methods", "nothing", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    rows = table(tmp_path / "out")
    for victim in (tmp_path / "out").glob("*.json"):  # records, rates and which images they are of
        victim.write_bytes(victim.read_bytes()[:30])
        with pytest.warns(UserWarning, match=f"{victim.name} is damaged"):
            assert cli.main(command) == 0
        assert files.read_json(victim) and table(tmp_path / "out").equals(rows)


def test_errors_are_counted_and_tried_again_when_asked(tmp_path, capsys, monkeypatch):
    battery = records.battery

    def broken(*_):
        raise ValueError("no such luck")

    command = [*COMMAND, "--methods", "nothing", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(records, "battery", broken)
    for _ in range(2):
        assert cli.main(command) == 0
        said = capsys.readouterr().err
        assert "2 of 2 records failed: nothing: no such luck; retry=True, or --retry, tries" in said
        assert "UserWarning" not in said
    monkeypatch.setattr(records, "battery", battery)
    assert cli.main(command) == 0 and "2 of 2 records failed" in capsys.readouterr().err
    assert cli.main([*command, "--retry"]) == 0
    assert "failed" not in capsys.readouterr().err and "error" not in table(tmp_path / "out")


# ---- killed, corrupted, full


def table(out) -> pd.DataFrame:
    return pd.read_csv(out / "records.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def uninterrupted(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_DATA", str(small))
        patch.setenv("LFSSD_CACHE", str(folder / "cache"))
        cases._dataset.cache_clear()
        assert cli.main([*COMMAND, "--methods", "nothing", "lfssd", "--out", str(folder / "out")]) == 0
    return table(folder / "out")


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs process groups")
@pytest.mark.parametrize(("n_jobs", "moments"), [("1", (2, 7)), ("2", (3, 8))])
def test_killed_at_any_moment_it_goes_on(n_jobs, moments, uninterrupted, tmp_path):
    """After so many models (of 4), then after so many files of results (of 14)."""
    out, rng, done = tmp_path / "out", random.Random(0), {}
    more = ["--methods", "nothing", "lfssd", "--jobs", n_jobs, "--out", str(out)]
    program = f"{HOLD}\nimport sys\nfrom lfssd_nb import cli\nhold(sys.argv[1], 10)\ncli.main(sys.argv[2:])"
    command = [sys.executable, "-c", program, str(out), *COMMAND, *more]
    places = [(tmp_path / "cache", "models/*.safetensors"), (out, "*.json")]
    for (folder, pattern), count in zip(places, moments, strict=True):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(
            lambda folder=folder, pattern=pattern, count=count: len([*folder.glob(pattern)]) >= count,
            f"there are {count} of {pattern}", lambda process=process: process.poll() is None,
        )  # fmt: skip
        time.sleep(rng.uniform(0, 0.05))
        kill_group(process.pid)
        assert process.wait() == -signal.SIGKILL  # it could not come to its end: see hold
        now = {path.name: path.read_bytes() for path in out.glob("*.json")}
        assert done.items() <= now.items() and all(json.loads(text) for text in now.values())
        done = now
    assert cli.main([*COMMAND, *more]) == 0
    assert done.items() <= {path.name: path.read_bytes() for path in out.glob("*.json")}.items()
    pd.testing.assert_frame_equal(table(out), uninterrupted)


def test_a_corrupted_model_is_made_again(uninterrupted, tmp_path):
    command = [*COMMAND, "--methods", "nothing", "lfssd", "--out"]
    assert cli.main([*command, str(tmp_path / "first")]) == 0
    victim = max((tmp_path / "cache" / "models").iterdir())
    raw = bytearray(sound := victim.read_bytes())
    raw[-100] ^= 1
    victim.write_bytes(raw)
    assert cli.main([*command, str(tmp_path / "second")]) == 0
    weights = -4 * 1000  # the settings before them hold the seconds of training
    assert victim.read_bytes()[weights:] == sound[weights:]
    pd.testing.assert_frame_equal(table(tmp_path / "second"), uninterrupted)


def test_a_full_disk_stops_it_and_leaves_the_records(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert cli.main([*COMMAND, "--methods", "nothing", "--out", str(out)]) == 0
    before = state(out)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    more = [*COMMAND, "--methods", "nothing", "lfssd", "--out", str(out)]
    assert cli.main(more) == 2
    assert "No space left on device" in (said := capsys.readouterr().err) and "free some space" in said
    assert state(out) == before
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "another"))  # training stops, too: it would be lost
    assert cli.main(more) == 2 and state(out) == before
    assert not [*(tmp_path / "another").rglob("*.safetensors*")]
