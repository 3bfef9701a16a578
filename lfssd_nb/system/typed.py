"""What is typed at a terminal, read or refused: every message names the value and what would do.

>>> parser.add_argument("--epochs", type=whole(1))
"""

import argparse
from collections.abc import Callable, Collection
from typing import NoReturn

from .named import unknown

LARGEST = 2**31 - 1  # no number that is asked for here is as large, and NumPy takes no larger seed


class Parser(argparse.ArgumentParser):
    """Raises ``ValueError`` with one line, in place of a usage text and the end of the program."""

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace(": ", " ", message.startswith("argument "))
        raise ValueError(f"{message} ({self.prog} --help explains the options)")


def whole(least: int) -> Callable[[str], int]:
    """A whole number from ``least`` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise _refused(f"must be a whole number, at least {least}, got {text!r}") from None
        if number < least:
            raise _refused(f"must be at least {least}, got {number}")
        if number > LARGEST:
            raise _refused(f"must be at most {LARGEST}, got {number}")
        return number

    return read


def number(text: str) -> float:
    """A number; which are possible, the method knows."""
    try:
        return float(text)
    except ValueError:
        raise _refused(f"must be a number, got {text!r}") from None


def number_or(word: str) -> Callable[[str], float | str]:
    """A number, or the word."""

    def read(text: str) -> float | str:
        try:
            return text if text == word else float(text)
        except ValueError:
            raise _refused(f"must be a number or {word!r}, got {text!r}") from None

    return read


def one_of(what: str, known: Collection[str]) -> Callable[[str], str]:
    """One of the names."""

    def read(text: str) -> str:
        if text not in known:
            raise _refused(unknown(what, text, known))
        return text

    return read


class Once(argparse.Action):
    """For an option of several values, none of which may be given twice."""

    def __call__(self, parser, namespace, values: list, option_string: str | None = None) -> None:
        for k, value in enumerate(values):
            if value in values[:k]:
                parser.error(f"{option_string} names {value} twice: give each once")
        setattr(namespace, self.dest, values)


def _refused(message: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(message)
