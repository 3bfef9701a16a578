"""A few of the kills of `make torture`: a training, and two workers while they write records."""

import os
import re
import subprocess
import sys

import pytest
import torture
from patience import patience


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and process groups")
def test_killed_at_random_moments_it_ends_as_undisturbed():
    """In a process of its own: it forks, and has no threads of other tests."""
    command = [
        sys.executable,
        torture.__file__,
        "--kills",
        "4",
        "--work",
        "training",
        "runner",
        "--seed",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience())
    assert done.returncode == 0, done.stderr
    assert re.search(r"training: 2 kills.*\nrunner: 2 kills.*\n4 kills .* as undisturbed", done.stdout)
