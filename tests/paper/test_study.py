"""The committed study: nothing is computed twice, choices follow from trials, a re-run is judged."""

import check_study
import numpy as np
import pandas as pd
import pytest
import study
import study_plan
import study_tables

from lfssd_nb.lab import records
from lfssd_nb.networks.seeds import VARIABLE
from lfssd_nb.system import files


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
    grid = study_tables.comparison()
    assert len(stored) > 1000 and {*stored.key} == {each.key for each in grid}
    again = records.load(unpacked, grid).set_index("key").loc[stored.key]
    same = ["tow", "mia", "js_forget", "passes"]
    np.testing.assert_array_equal(again[same].to_numpy(), stored[same].to_numpy())
    digits = {*committed("all_digits").key}
    assert digits == {each.key for each in study.all_digits()}


def test_the_committed_audit_has_the_settings_that_the_study_chose():
    stored = study.read(study.RECORDS / "audit.csv")
    settings = {(each.case.kind, each.method): each.settings for each in study_tables.audited()}
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
    assert check_study.told(stored, anew, study_tables.TABLES["methods"].compared) == code
    assert f"60 rows, {60 if not shift + noise else 0} of them equal" in capsys.readouterr().out


def test_a_method_that_fails_only_in_the_rerun_is_told(capsys):
    stored = committed("tuning").set_index("key")
    compared, failing = study_tables.TABLES["tuning"].compared, stored[stored.error.notna()]
    both = pd.concat([failing, stored[stored.error.isna()][:40]])
    assert len(failing) and check_study.told(both, both, compared) == 0
    assert check_study.told(both.assign(error=None), both, compared) == 1


def test_the_plan_counts_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(study_plan, "ROOT", tmp_path)
    before = study_plan.plan()
    assert not before.finished.any() and before.networks.all()
    assert before.jobs["choice"] >= 100 and before.jobs["sweeps"] == 120
    job = study.all_digits()[0]
    files.write_json(records.record(tmp_path / "build" / "study", job), {"tow": 1.0, "error": "none"})
    after = study_plan.plan()
    assert (after.finished - before.finished).to_dict() == dict.fromkeys(before.index, 0) | {"all_digits": 1}


@pytest.mark.parametrize("name", study_tables.TABLES)
def test_a_rerun_draws_from_everything_that_is_committed(name):
    """The jobs of each table make its rows: the same cases, and the same keys where it has them."""
    table = study_tables.TABLES[name]
    stored, jobs = study.read(study.RECORDS / f"{name}{table.suffix}"), table.jobs()
    cases = {tuple(each.case.columns[name] for name in study_tables.CASE) for each in jobs}
    assert cases <= {*stored[[*study_tables.CASE]].itertuples(index=False, name=None)}
    if "key" in stored:
        assert {each.key for each in jobs} == {*stored.key}
    once = check_study.named(stored, table.names)
    assert once.index.is_unique and {*table.compared} <= {*once.columns}


def test_a_rerun_of_one_record_finds_its_rows_whatever_rounding_does(tmp_path):
    """A case of the sweep with its committed rows, their thresholds off by the last bit: all are found."""
    table, names = study_tables.TABLES["sweeps"], [*study_tables.CASE]
    stored = study.read(study.RECORDS / "sweeps.csv.gz")
    job = next(each for each in table.jobs() if each.case.target == "14@0" and each.case.seed == 0)
    case = [job.case.columns[name] for name in names]
    mine = stored[(stored[names] == case).all(axis=1)]
    files.write_json(
        records.record(tmp_path, job), mine.assign(scale=mine.scale * (1 + 1e-15)).to_dict("records")
    )
    found = check_study.named(check_study.rows_of([job], tmp_path), table.names)
    assert len(found) == len(mine) == 140
    there = check_study.named(stored, table.names).loc[found.index]
    assert check_study.told(there, found, table.compared) == 0 and (there.gap == found.gap).all()


def test_published_rows_have_the_batches_and_the_order_of_the_published_code():
    """FIELD: 64 images of both sets at a time, 128 where random images are forgotten, D_f at the end of D."""
    rows = study.read(study.RECORDS / "methods.csv").query("variant == 'published'")
    assert len(rows) == 2 * 2 * 3 * 6 and set(rows.method) == {"lfssd", "ssd"}
    for row in rows.itertuples():
        size = 128 if row.scenario == "random" else 64
        how = row.settings
        assert (how["batch_size"], how["forget_batch_size"] or size) == (size, size)
        assert (how["order"], how["reduction"]) == ("reference", "batch")
