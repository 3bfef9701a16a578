"""The half hour on a lent GPU, rehearsed: same path, tiny numbers, no network."""

import zipfile

import lease
import on_gpu
import pandas as pd
import pytest

from lfssd_nb.lab import records


@pytest.fixture
def go(tmp_path, rehearsal):
    """``go("out", *options)`` runs the script; returns its log."""

    def run(out: str, *options: str) -> str:
        rehearsal(on_gpu.main, "--stages", "cifar10-class", "--out", out, *options)
        return (tmp_path / out / "log.txt").read_text()

    return run


def test_the_rehearsal_goes_all_the_way_and_a_later_call_goes_on(go, tmp_path, monkeypatch):
    log = go("one", "--minutes", "600", "--steps", "speed", "recipes", "cases", "audit", "rest")
    assert "FAILED" not in log and "no time" not in log and " 0 of them errors" in log
    one = tmp_path / "one"
    assert len(pd.read_csv(one / "recipes.csv")) == len(on_gpu.RECIPES)
    assert {"training", "importance", "sweep"} == set(pd.read_csv(one / "speed.csv").what)
    found = pd.read_csv(one / "records.csv")
    cells = found.groupby(["seed", "architecture"]).method.unique()
    always = {"nothing", "retrain", "lfssd", "ssd", "assd", "xalfssd"}
    assert len(cells) == 4 and all(always <= {*methods} for methods in cells)
    assert "error" not in found and {"vit", "resnet18"} == set(found.architecture)
    assert {"replication", "tuned", "searched", "default"} <= set(found.variant)
    assert {"finetune"} <= set(found[found.seed == 0].method) and set(found.target.astype(str)) == {"0"}
    trained = pd.read_csv(one / "models.csv").fillna("")
    assert not trained.duplicated(["name", "scenario", "gold_of", "seed"]).any() and len(trained) == 2 * 4
    audit = pd.read_csv(one / "audit-cifar10-class.csv")
    assert audit.probe.notna().all() and set(audit.method) == {
        "nothing",
        "retrain",
        "lfssd",
        "ssd",
        "class_mask",
    }
    with zipfile.ZipFile(one / "records.zip") as file:
        assert {f"{key}.json" for key in found.key} <= {*file.namelist()}
    assert len([*one.iterdir()]) - 1 <= 8  # without the folder of networks

    monkeypatch.setattr(records, "_record", None)  # nothing may be computed again
    log = go("two", "--minutes", "600", "--steps", "cases", "rest", "--resume", "one/records.zip")
    assert "FAILED" not in log and "records" not in log and "tuning" not in log


def test_without_time_nothing_is_begun(go, tmp_path):
    log = go("out", "--minutes", "0", "--steps", "speed", "cases")
    assert "no time for training, bfloat16" in log and "images/s" not in log
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"log.txt", "work"}


def test_a_piece_that_fails_stops_no_other(go, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("CUDA error: out of luck\nmore")

    monkeypatch.setattr(on_gpu, "training_rate", broken)
    log = go("out", "--minutes", "600", "--steps", "speed")
    assert "FAILED: RuntimeError('CUDA error: out of luck" in log and "cells/s" in log


def test_what_came_from_a_cache_says_nothing_about_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(lease.time, "perf_counter", lambda: clock[0])

    def takes(seconds: float):
        return lambda: clock.append(clock.pop() + seconds)

    mine = lease.Lease(200, tmp_path, tmp_path, "cpu", False, ())
    assert mine.piece("training", "one", takes(60)) and mine.piece("training", "from the cache", takes(0.1))
    takes(70)()
    assert not mine.piece("training", "another", takes(60))  # 69.9 s are left, and it takes 60 and a margin
    later = lease.Lease(70, tmp_path, tmp_path, "cpu", False, ())
    assert not later.piece("training", "in a later call", takes(60))
