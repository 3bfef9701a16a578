"""The committed study: nothing is computed twice, choices follow from trials, a re-run is judged."""

import check_study
import numpy as np
import pandas as pd
import pytest
import study
import study_audit

from lfssd_nb.lab import records
from lfssd_nb.networks.seeds import VARIABLE


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    study.unpack(folder := tmp_path_factory.mktemp("study"))
    return folder


@pytest.fixture(autouse=True)
def plain_seeds(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def committed(name):
    return pd.read_csv(study.RECORDS / f"{name}.csv", dtype={"target": str})


def test_the_committed_choices_are_those_of_the_protocol(unpacked):
    stored, found = committed("tuning"), study.tuned(unpacked)
    assert len(stored) > 500 and list(found.key) == list(stored.key)
    pd.testing.assert_series_equal(found.chosen, stored.chosen)
    losses = stored.groupby(["architecture", "scenario", "method", "variant", "value"]).loss
    assert (losses.size() == 2).all()  # two targets, each on a network of its own


def test_the_study_would_compute_none_of_its_committed_records_again(unpacked):
    stored = committed("methods")
    tuning = committed("tuning")
    grid = [run for net in study.NETS for run in study.grid(net, {*study.METHODS}, tuning)]
    assert len(stored) > 1000 and {*stored.key} == {each.key for each in grid}
    again = records.load(unpacked, grid).set_index("key").loc[stored.key]
    same = ["tow", "mia", "js_forget", "passes"]
    np.testing.assert_array_equal(again[same].to_numpy(), stored[same].to_numpy())
    digits = {*committed("all_digits").key}
    assert digits == {each.key for each in study.all_digits()}


def test_the_committed_audit_has_the_settings_that_the_study_chose():
    stored = study.read(study.RECORDS / "audit.csv")
    audited = [name for name in study.METHODS if name not in study_audit.NOT_AUDITED]
    plan = study_audit.planned(10, audited, list(study_audit.TARGETS), committed("tuning"))
    settings = {(each.case.kind, each.method): each.settings for each in plan}
    rows = zip(stored.scenario, stored.method, stored.settings, strict=True)
    assert {(kind, name): how for kind, name, how in rows} == settings
    networks = stored.groupby(["scenario", "method"]).seed.nunique()
    assert (
        networks == networks.index.get_level_values("method").map(lambda m: 20 if m == "gold" else 10)
    ).all()


@pytest.mark.parametrize("shift, noise, code", [(0.0, 0.0, 0), (0.0, 0.05, 0), (0.1, 0.01, 1)])
def test_a_rerun_is_judged_by_networks(capsys, shift, noise, code):
    stored = committed("methods").set_index("key").sample(60, random_state=1)
    jitter = np.random.default_rng(0).standard_normal(len(stored))
    anew = stored.assign(tow=stored.tow + shift + noise * jitter)
    assert check_study.told(stored, anew) == code
    assert f"60 records, {60 if not shift + noise else 0} of them equal" in capsys.readouterr().out
