"""Choosing alpha on a lent GPU, rehearsed; the committed table is one that a later call goes on from."""

import choice_on_gpu
import pandas as pd
import pytest
import study_choice

from lfssd_nb.networks.seeds import VARIABLE


@pytest.fixture
def go(tmp_path, rehearsal):
    """``go(*options)`` runs the script; returns its log."""

    def run(*options: str) -> str:
        rehearsal(choice_on_gpu.main, "--out", "out", "--work", "work", "--parts", "cifar10 random", *options)
        return (tmp_path / "out" / "log.txt").read_text()

    return run


def test_the_rehearsal_goes_all_the_way_and_a_later_call_computes_nothing(go, tmp_path, monkeypatch):
    log = go()
    assert "FAILED" not in log and "no time" not in log
    go("--collect")
    found = pd.read_csv(tmp_path / "out" / "choice.csv")
    assert set(found.target) == {"5@0", "5@1"} and set(found.part) == {"cifar10 random"}
    assert {"agreement", "tuned", "XALFSSD", "oracle", "default", "percentile", "nothing"} < {*found.rule}
    monkeypatch.setattr(study_choice, "choose", None)
    assert len(go().splitlines()) == len(log.splitlines()) + 2  # how it began and how it ended


def test_without_time_nothing_is_begun(go, tmp_path):
    assert "no time for cifar10 random, original, seed 0" in go("--minutes", "0")
    assert not list((tmp_path / "work").iterdir())


def test_the_committed_table_is_what_a_later_call_goes_on_from(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    choice_on_gpu.unpack(tmp_path, choice_on_gpu.ON_GPU)
    choice_on_gpu.collect(tmp_path, tmp_path, choice_on_gpu.ON_GPU)
    again, stored = pd.read_csv(tmp_path / "choice.csv"), pd.read_csv(choice_on_gpu.TABLE)
    pd.testing.assert_frame_equal(again, stored)
    assert (stored[stored.rule == "agreement"].part.value_counts() >= 4).all()
