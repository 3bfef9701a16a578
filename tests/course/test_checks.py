"""Every exercise: a right answer passes, and each wrong one gets the hint that names the mistake.

The answers of a page lie in ``answers_NN.py`` beside this file: ``RIGHT`` by check, ``WRONG`` with a pattern
of the hint, and in some ``STYLES``, a second right answer."""

import importlib
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from lfssd_nb.course import checks
from lfssd_nb.course.checks.judge import judge

PAGES = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("answers_*.py"))]
RIGHT = {name: answer for page in PAGES for name, answer in page.RIGHT.items()}
WRONG = {name: answers for page in PAGES for name, answers in page.WRONG.items()}


def hint(check, answer, capsys) -> str:
    with pytest.raises(checks.NotYet) as told:
        getattr(checks, check)(answer)
    assert str(told.value).startswith("not yet: ") and not capsys.readouterr().out
    return str(told.value).removeprefix("not yet: ")


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_passes(name, capsys):
    getattr(checks, name)(RIGHT[name])
    assert capsys.readouterr().out == f"{name}: right\n"


def backwards(model, x):
    """LFSSD's importance, from ``.grad``."""
    model.eval()
    found = {name: 0.0 for name, _ in model.named_parameters()}
    for one in x:
        model.zero_grad()
        model(one).square().sum().backward()
        found = {name: found[name] + p.grad.abs() / len(x) for name, p in model.named_parameters()}
    return found


def by_rates(members, strangers, rate):
    """The lowest threshold whose rate, in float32, is small enough."""
    thresholds = [-torch.inf, *strangers.tolist()]
    threshold = min(t for t in thresholds if (strangers > t).float().mean().item() <= rate)
    return (members > threshold).float().mean().item()


STYLES = {"sensitivity": backwards, "true_positives": by_rates}
STYLES |= {name: answer for page in PAGES for name, answer in getattr(page, "STYLES", {}).items()}


@pytest.mark.parametrize("name", STYLES)
def test_a_right_answer_in_another_style_passes(name, capsys):
    getattr(checks, name)(STYLES[name])
    assert capsys.readouterr().out == f"{name}: right\n"


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in WRONG for k in range(len(WRONG[name]))])
def test_a_wrong_answer_gets_its_hint(name, k, capsys):
    wrong, expected = WRONG[name][k]
    told = hint(name, wrong, capsys)
    assert re.search(expected, told), told


def fails(*arguments):
    return [][len(arguments)]


def unwritten(*arguments):
    raise NotImplementedError("your turn")


def subtracted(*arguments):
    return torch.tensor([True]) - torch.tensor([False])


BAD = {  # answers to any exercise: what comes back, and the hint
    "nothing": (lambda *_: None, "nothing came back"),
    "an exception": (fails, "IndexError in line .*len.arguments"),
    "what PyTorch cannot do": (subtracted, "NotImplementedError in line .*: Subtraction"),
    "still to be written": (unwritten, "in the place of `raise NotImplementedError`"),
    "too few arguments": (lambda: 0, "TypeError.*argument"),
    "a word": (lambda *_: "3", "not str|got 3|got str"),
    "an object": (lambda *_: object(), "not object|got object|got <object"),
    "not a function": (3.0, "the function itself"),
}


@pytest.mark.parametrize("name", sorted(RIGHT))
@pytest.mark.parametrize("what", BAD)
def test_a_bad_answer_gets_a_hint_and_no_traceback(name, what, capsys):
    answer, expected = BAD[what]
    told = hint(name, answer, capsys)
    assert re.search(expected, told), told


def test_jupyter_shows_the_hint_alone():
    shell = pytest.importorskip("IPython").core.interactiveshell.InteractiveShell
    told = []

    class Shell(shell):
        def _showtraceback(self, etype, evalue, stb):
            told.extend(stb)

    try:
        Shell().run_cell("from lfssd_nb.course import checks\nchecks.retain_index(lambda n, f: f)")
    finally:
        shell.clear_instance()
    assert len(told) == 1 and told[0].startswith("not yet: a forgotten sample is still retained")


def test_every_exercise_has_wrong_answers_and_a_right_one():
    known = {name for name in checks.__all__ if name not in ("NotYet", "expect")}
    assert known == RIGHT.keys() == WRONG.keys()
    assert all(len(wrong) >= 8 for wrong in WRONG.values())


@pytest.mark.parametrize("name", RIGHT)
def test_every_known_slip_is_told_from_all_others(name, monkeypatch):
    """By some case of the check, so that a slip gets its own hint and not another's."""
    asked, module = [], sys.modules[getattr(checks, name).__module__]
    monkeypatch.setattr(module, "judge", lambda *how: asked.append(how[1:]))
    with suppress(checks.NotYet, TypeError, AttributeError):  # what is asked beside `judge`
        getattr(checks, name)(None)
    ((right, cases, slips),) = asked
    for hint, slip in slips.items():
        with pytest.raises(checks.NotYet, match=re.escape(f"not yet: {hint}") + "$"):
            judge(slip, right, cases, slips)


def test_a_check_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    for name, answer in RIGHT.items():
        getattr(checks, name)(answer)
    assert torch.equal(before, torch.random.get_rng_state())
