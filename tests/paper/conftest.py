"""Where the scripts for a lent GPU are rehearsed."""

import pytest

from lfssd_nb.lab import cases


@pytest.fixture
def rehearsal(tmp_path, prepare, monkeypatch, no_network):
    """``rehearsal(main, *options)`` runs a script in an empty folder, on random images of CIFAR-10."""
    for name in ("LFSSD_CACHE", "LFSSD_DATA", "LFSSD_PROGRESS"):
        monkeypatch.setenv(name, "")  # so that what the script sets goes with the test
    prepare("cifar10")
    monkeypatch.chdir(tmp_path)

    def run(main, *options: str) -> None:
        cases._dataset.cache_clear()
        main(["--rehearse", "--data", ".", *options])
        cases._dataset.cache_clear()

    return run
