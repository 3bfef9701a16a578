"""What a page says, tied to what it computed: each statement is made by the cell that measured it.

>>> claims.exact(torch.equal(a, b), "both ways give the same weights, bit for bit")
>>> claims.recorded(worst < 5, "SSD leaves at most 5 % in all {n} records: {worst:.1f} %", n=n, worst=worst)
>>> claims.holds(lost < 2, "LFSSD costs the other digits less than 2 points (here {lost:.1f})", lost=lost)
>>> claims.here("Gold calls {eights} of the {n} threes an 8.", eights=eights, n=n)

========== ================================================================= ==========================
function   the statement is true                                             if it is not
========== ================================================================= ==========================
`exact`    by mathematics or by construction, on every machine               a defect: report it
`recorded` of the committed records of many networks                         the records were changed
`holds`    of the method, on the networks of this page (``make recheck``     this machine trained other
           tries other training seeds and processors)                        networks: read on
`here`     of this run alone: nothing is claimed beyond it                   (cannot fail)
========== ================================================================= ==========================

A claim that does not hold shows a box with what was expected and measured, and the page goes on. With
``LFSSD_CLAIMS=strict`` (set by the tests) it raises `ClaimError` with the same text. Every statement is also
appended, as a line of JSON, to the file named by ``LFSSD_CLAIMS_LOG``, if that is set.
"""

import html
import json
import os
from typing import Any

import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display
from torch import Tensor

STRICT, LOG = "LFSSD_CLAIMS", "LFSSD_CLAIMS_LOG"
WHY = {
    "exact": "It is true by construction, so this is a defect, not your machine's doing: please report it.",
    "recorded": "It is about the committed records, so the tables of lfssd_nb.lab.RECORDS were changed.",
    "holds": "Why that can happen: another processor, number of threads or version of PyTorch rounds the "
    "last bits differently and trains other networks, and yours behave otherwise than those on which this "
    "page was checked. The text around this box may not fit them; the page goes on.",
}


class ClaimError(AssertionError):
    """A claim of a page did not hold, under ``LFSSD_CLAIMS=strict``."""


def exact(condition: Any, sentence: str, **values: Any) -> None:
    """A statement that mathematics or construction makes true; arguments as in `holds`."""
    _claim("exact", condition, sentence, values)


def recorded(condition: Any, sentence: str, **values: Any) -> None:
    """A statement about committed records; arguments as in `holds`."""
    _claim("recorded", condition, sentence, values)


def holds(condition: Any, sentence: str, *, untrained: str = "", **values: Any) -> None:
    """A statement about the method, checked on the networks of this page.

    condition: a single truth value (bool, or numpy or torch scalar). sentence: what is claimed, with the
    threshold, and the measured values as ``str.format`` fields: ``"kept {kept:.1f} %, above 95"``.
    values: what the fields name; a Series, dict or tensor may be indexed in the field (``{acc[lfssd]:.1f}``).
    untrained: if random weights in place of the dampened ones pass too, why the claim is made all the same
    (``make recheck`` tries it and asks for the reason).

    Raises ``TypeError`` for several truth values, ``ClaimError`` under ``LFSSD_CLAIMS=strict``.
    """
    _claim("holds", condition, sentence, values, untrained)


def here(sentence: str, **values: Any) -> None:
    """What happened in this run, in words: shown, logged, never judged."""
    _log("here", None, sentence, values)
    _show(f"> **In this run** · {sentence.format(**values)}")


def _claim(kind: str, condition: Any, sentence: str, values: dict, untrained: str = "") -> None:
    n = condition.numel() if isinstance(condition, Tensor) else np.size(condition)
    if n != 1:
        raise TypeError(f"a claim needs one truth value, got {n}: reduce it with .all() or .any()")
    held, text = bool(condition), sentence.format(**values)
    _log(kind, held, sentence, values, untrained)
    if held:
        _show(f"> ✓ {text}")
        return
    measured = ", ".join(f"{name} = {_short(value)}" for name, value in values.items())
    if os.environ.get(STRICT) == "strict":
        raise ClaimError(f"{text} [expected, and not so]" + (f"; measured: {measured}" if measured else ""))
    _box(text, measured, WHY[kind])


def _show(text: str) -> None:
    if get_ipython() is None:
        print(text.removeprefix("> ").replace("**", ""))
    else:
        display({"text/markdown": text, "text/plain": text}, raw=True)


def _box(expected: str, measured: str, why: str) -> None:
    lines = ["On your machine this came out differently.", f"The page expects: {expected}"]
    lines += [f"Measured: {measured}"] if measured else []
    lines.append(why)
    text = "\n".join(lines)
    if get_ipython() is None:
        print(text)
        return
    first, *rest = map(html.escape, lines)
    body = "<br>".join([f"<b>{first}</b>", *rest])
    style = "border: 2px solid #E69F00; border-radius: 6px; padding: 0.6em; background: #FFF7E0; color: #222"
    display({"text/html": f'<div role="note" style="{style}">{body}</div>', "text/plain": text}, raw=True)


def _log(kind: str, held: bool | None, sentence: str, values: dict, untrained: str = "") -> None:
    if not (path := os.environ.get(LOG)):
        return
    plain = {name: _plain(value) for name, value in values.items()}
    line = dict(kind=kind, held=held, sentence=sentence, values=plain, untrained=untrained)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict | pd.Series):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | pd.Index):
        return [_plain(v) for v in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _short(value: Any) -> str:
    """A value for reading: four digits."""
    plain = _plain(value)
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{k}: {_short(v)}" for k, v in plain.items()) + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(map(_short, plain)) + "]"
    return f"{plain:.4g}" if isinstance(plain, float) else str(plain)
