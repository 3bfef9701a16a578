"""The exercises and quizzes of the pages: complete, in one form, and answered in solutions.md.

An exercise is a heading ``### Exercise 2 · Name``, a card ``*10 minutes · difficulty 2 of 5 ·
importance 4 of 5*``, a task, two or three hints to unfold (without code blocks, which would become
cells), and a cell with a stub and its check as a comment; on page A1 the stub is a function to mend. A
question of the quiz is a cell of its own, ``**Quiz 1.** ...``, with choices to unfold, ``(a) ...``, and in
each a reason that begins with Yes or No."""

import ast
import re
from pathlib import Path

import jupytext
import pytest
import torch

from lfssd_nb.course import checks

TEXTS = Path(__file__).resolve().parents[2] / "notebooks" / "text"
PAGES = [*(f"{n:02}" for n in range(22)), "a1"]
NUMBER = dict.fromkeys(PAGES, (3, 5)) | {"00": (1, 2), "11": (2, 3), "21": (1, 2)}  # exercises a page
CARD = re.compile(r"^\*\d+ minutes · difficulty [1-5] of 5 · importance [1-5] of 5\*$", re.M)
FOLD = re.compile(r"^<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>$", re.M | re.S)


def text(page: str) -> Path:
    return next(TEXTS.glob(f"{page}_*.md"))


def exercises(page: str) -> list[tuple[str, str]]:
    """(prose, code) of each exercise."""
    cells, found = jupytext.read(text(page)).cells, []
    for number, cell in enumerate(cells):
        if cell.source.startswith("### Exercise "):
            found.append((cell.source, cells[number + 1].source))
    return found


def quiz(page: str) -> list[str]:
    return [c.source for c in jupytext.read(text(page)).cells if c.source.startswith("**Quiz ")]


@pytest.mark.parametrize("page", NUMBER)
def test_an_exercise_has_a_card_hints_and_a_stub_that_stops_nothing(page):
    found = exercises(page)
    assert NUMBER[page][0] <= len(found) <= NUMBER[page][1]
    for number, (prose, code) in enumerate(found, 1):
        assert prose.startswith(f"### Exercise {number} · ") and len(CARD.findall(prose)) == 1, prose[:60]
        hints = [summary for summary, _ in FOLD.findall(prose)]
        assert hints == [f"Hint {k}" for k in range(1, len(hints) + 1)] and 2 <= len(hints) <= 3, prose[:60]
        (function,) = ast.parse(code).body  # the check is a comment
        assert isinstance(function, ast.FunctionDef), code
        assert isinstance(function.body[-1], ast.Return if page == "a1" else ast.Raise), code
        assert ast.get_docstring(function), code
        called = re.search(r"^# checks\.(\w+)\((\w+)\)$", code, re.M)
        assert called and called[1] in checks.__all__ and called[2] == function.name, code


TRAPS = {
    "reported": "the images that chose the setting must not report on it",
    "undisturbed": "in train mode batch norm mixes the images of a batch",
    "one_pass": "the second pass comes in another order",
}


def test_a_function_to_mend_falls_into_the_trap_that_its_check_names():
    tried = []
    for _, code in exercises("a1"):
        check, name = re.search(r"^# checks\.(\w+)\((\w+)\)$", code, re.M).groups()
        page = {"torch": torch}
        exec(code, page)
        with pytest.raises(checks.NotYet, match=TRAPS[check]):
            getattr(checks, check)(page[name])
        tried.append(check)
    assert tried == [*TRAPS]


@pytest.mark.parametrize("page", NUMBER)
def test_every_exercise_is_solved_with_the_same_check(page):
    solutions = "\n".join(
        c.source for c in jupytext.read(TEXTS / "solutions.md").cells if c.cell_type == "code"
    )
    for _, code in exercises(page):
        call = re.search(r"^# (checks\.\w+\()", code, re.M)[1]
        assert re.search("^" + re.escape(call), solutions, re.M), call


@pytest.mark.parametrize("page", NUMBER)
def test_a_quiz_has_three_questions_and_a_reason_for_every_choice(page):
    questions, right = quiz(page), []
    assert [q[: len("**Quiz 1.**")] for q in questions] == [f"**Quiz {k}.**" for k in (1, 2, 3)]
    for question in questions:
        folds = FOLD.findall(question)
        assert len(folds) >= 3 and question.count("<details>") == len(folds) == question.count("</details>")
        assert [summary[:4] for summary, _ in folds] == [f"({'abcde'[k]}) " for k in range(len(folds))]
        assert all(re.match(r"(Yes|No)[.:,] ", why) and len(why.split()) >= 8 for _, why in folds), question
        assert "$" not in "".join(summary for summary, _ in folds), "no mathematics in raw HTML"
        letters = [summary[1] for summary, why in folds if why.startswith("Yes")]
        assert len(letters) == 1, question
        right += letters
    answer = "**Quiz.** " + ", ".join(f"{k} ({letter})" for k, letter in enumerate(right, 1)) + "."
    section = re.search(
        rf"^## {page.upper()} ·.*?(?=^## |\Z)", (TEXTS / "solutions.md").read_text(), re.M | re.S
    )
    assert section and answer in section[0], answer
    assert len({*right}) > 1, "the right choice is not always the same"
