"""Ctrl-C and SIGTERM: one line, 130 or 143, no process that goes on; started again the result is the same."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest
from killing import HOLD, kill_group
from patience import group, patience, wait_until

from lfssd_nb import cli
from lfssd_nb.lab import cases
from lfssd_nb.networks import resume
from lfssd_nb.system import interrupts

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
FORGET = shlex.split("forget --subset 140 --width 8 --epochs 4 --device cpu --no-gold --json")
REPRODUCE = shlex.split(
    "reproduce --profile small --stages cifar10-random-resnet18 --seeds 0 1 --images 100 --epochs 1 "
    "--device cpu --methods nothing finetune --out"
)
PROGRAM = f"""{HOLD}
import sys
from lfssd_nb import cli
hold(sys.argv[1], 3)
sys.exit(cli.main(sys.argv[2:]))
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs process groups")


@pytest.fixture(autouse=True)
def heard():
    """A shell without job control starts its background deaf to Ctrl-C, and children inherit that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number, _ in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_training_is_interrupted_and_goes_on(number, code, tmp_path, monkeypatch, capsys):
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("Python takes signals in the main thread alone")
    keep, epochs = resume.Halfway.keep, []

    def interrupting(self, epoch, *parts):
        keep(self, epoch, *parts)
        epochs.append(epoch)
        if epochs == [1, 2]:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(resume, "EVERY", 0)
    results = []
    for name, expected in (("whole", [0]), ("interrupted", [code, 0])):
        monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / name))
        monkeypatch.setattr(resume.Halfway, "keep", keep if name == "whole" else interrupting)
        before = signal.getsignal(number)
        assert [cli.main([*FORGET, str(tmp_path / f"{name}.json")]) for _ in expected] == expected
        assert signal.getsignal(number) is before
        results.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert capsys.readouterr().err.splitlines().count(interrupts.SAID) == 1
    assert epochs == [1, 2, 3]  # the second try began with the third
    assert results[0].pop("seconds") and results[1].pop("seconds")
    assert results[0] == results[1]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_while_torch_is_imported(number, code):
    program = """
import os, sys
from lfssd_nb import __main__

class Finder:
    def find_spec(self, name, *_):
        if name == "torch":
            os.kill(os.getpid(), int(sys.argv[1]))

sys.meta_path.insert(0, Finder())
sys.exit(__main__.main())
"""
    done = subprocess.run([sys.executable, "-c", program, str(int(number))], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{interrupts.SAID}\n")


def test_workers_say_nothing_and_end(small, tmp_path, monkeypatch):
    """Interrupted as at a terminal, where the workers hear Ctrl-C, too."""
    monkeypatch.setenv("LFSSD_DATA", str(small))
    tables = []
    for name in ("whole", "interrupted"):
        monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / f"{name} cache"))
        command, out = [*REPRODUCE, str(tmp_path / name), "--jobs"], tmp_path / name
        if name == "interrupted":
            stderr = _interrupted([*command, "2"], out)
            assert stderr == f"{interrupts.SAID}\n"
            assert not [*out.rglob("*.part"), *(tmp_path / f"{name} cache").rglob("*.part")]
        cases._dataset.cache_clear()
        assert cli.main([*command, "1"]) == 0
        tables.append(pd.read_csv(out / "records.csv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*tables)


def _interrupted(command: list[str], out) -> str:
    """Starts the command, which waits before the fourth of its five files of results, and interrupts it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out), *command], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: len([*out.glob("*.json")]) >= 3, "three results", lambda: process.poll() is None)
        os.killpg(process.pid, signal.SIGINT)
        stderr = process.communicate(timeout=patience())[1]
        wait_until(lambda: not group(process.pid), "all workers have ended")
    finally:
        kill_group(process.pid)
    assert process.returncode == 130
    return stderr
