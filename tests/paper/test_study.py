"""The committed study: nothing is computed twice, choices follow from trials, a re-run is judged."""

import sys

import numpy as np
import pandas as pd
import pytest

from lfssd_nb.lab import records
from lfssd_nb.networks.seeds import VARIABLE


@pytest.fixture(scope="module")
def scripts(pytestconfig):
    sys.path.insert(0, str(pytestconfig.rootpath / "scripts"))
    try:
        import check_study
        import study

        yield study, check_study
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def unpacked(scripts, tmp_path_factory):
    scripts[0].unpack(folder := tmp_path_factory.mktemp("study"))
    return folder


@pytest.fixture(autouse=True)
def plain_seeds(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def committed(study, name):
    return pd.read_csv(study.RECORDS / f"{name}.csv", dtype={"target": str})


def test_the_committed_choices_are_those_of_the_protocol(scripts, unpacked):
    study, _ = scripts
    stored, found = committed(study, "tuning"), study.tuned(unpacked)
    assert len(stored) > 500 and list(found.key) == list(stored.key)
    pd.testing.assert_series_equal(found.chosen, stored.chosen)
    losses = stored.groupby(["architecture", "scenario", "method", "variant", "value"]).loss
    assert (losses.size() == 2).all()  # two targets, each on a network of its own


def test_the_study_would_compute_none_of_its_committed_records_again(scripts, unpacked):
    study, _ = scripts
    stored = committed(study, "methods")
    tuning = committed(study, "tuning")
    grid = [run for net in study.NETS for run in study.grid(net, {*study.METHODS}, tuning)]
    assert len(stored) > 1000 and {*stored.key} == {each.key for each in grid}
    again = records.load(unpacked, grid).set_index("key").loc[stored.key]
    same = ["tow", "mia", "js_forget", "passes"]
    np.testing.assert_array_equal(again[same].to_numpy(), stored[same].to_numpy())
    digits = {*committed(study, "all_digits").key}
    assert digits == {each.key for each in study.all_digits()}


@pytest.mark.parametrize("shift, noise, code", [(0.0, 0.0, 0), (0.0, 0.05, 0), (0.1, 0.01, 1)])
def test_a_rerun_is_judged_by_networks(scripts, capsys, shift, noise, code):
    study, check = scripts
    stored = committed(study, "methods").set_index("key").sample(60, random_state=1)
    jitter = np.random.default_rng(0).standard_normal(len(stored))
    anew = stored.assign(tow=stored.tow + shift + noise * jitter)
    assert check.told(stored, anew) == code
    assert f"60 records, {60 if not shift + noise else 0} of them equal" in capsys.readouterr().out
