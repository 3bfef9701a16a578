"""Which numbers in the prose of a page does nothing on that page back?

A typed number is backed if an output or the code of the same section holds it, rounded as it is typed (and
times 100 before a %). A section without code may use all of the page. Left out: mathematics, code, links,
tables, numbering, years, and what stands in ``EXCEPTIONS`` with its reason.

``python scripts/typed_numbers.py [00 01 ... FILE.ipynb]`` lists what is left, with the sentence around it.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from notebooks import BOOKS

EXCEPTIONS = BOOKS / "text" / "typed_numbers.csv"  # page, number, context, reason

NUMBER = re.compile(r"(?<![\w.,/])[-−–]?\d(?:[\d,]*\d)?(?:\.\d+)?(?![\w])(?!\.\d)")
SILENT = (  # what is not a statement with a number
    r"```.*?```", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\]\([^)]*\)", r"https?://\S+", r"<[^>]*>",
    r"\b\d{4}\.\d{5}\b", r"^#.*$", r"^\|.*$", r"^\s*\d+\.\s", r"\*\*\d+\.?\*\*", r"\*\*Question \d+\.\*\*",
    r"^\*\d+ minutes · difficulty .*\*$",
    r"\b(?:[Nn]otebooks?|[Ss]ections?|[Ee]xercises?|[Qq]uestions?|[Ss]eeds?|[Dd]igits?|[Ss]tages?|[Cc]ells?)"
    r"(?:\s\d+(?:,| and| or| to|\s?/)?)+", r"\b\d\d (?=[a-z][\w-]*[ ·.])",
    r"\((?:[^()]*\b)?(?:19|20)\d\d[a-z]?\)",
    r"\b(?:19|20)\d\d\b", r"\d+×\d+", r"ResNet18|ln 10|95 % (?=interval)",
)  # fmt: skip


COUNTED = re.compile(r"\s?(?:%|points?|of\b|in\b|to \d+ %|out of)")  # after a single digit that is a number


@dataclass(frozen=True)
class Typed:
    """A number in prose that nothing backs."""

    page: str
    number: str
    context: str


def unbacked(path: Path) -> Iterator[Typed]:
    """The typed numbers of an executed notebook that nothing backs, exceptions taken out."""
    allowed = exceptions(path.stem)
    for number, context, known in _typed(json.loads(path.read_text())):
        if not _backed(number, context, known) and not any(n == number and c in context for n, c in allowed):
            yield Typed(path.stem, number, context)


def differing(committed: Path, other: Path) -> Iterator[Typed]:
    """The typed numbers that the committed outputs back and the outputs of another execution do not."""
    pairs = zip(_typed(json.loads(committed.read_text())), _typed(json.loads(other.read_text())), strict=True)
    for (number, context, here), (_, _, there) in pairs:
        if _backed(number, context, here) and not _backed(number, context, there):
            yield Typed(committed.stem, number, context)


def exceptions(page: str) -> list[tuple[str, str]]:
    """(number, part of its sentence) that stand in the page for a reason given in ``EXCEPTIONS``."""
    if not EXCEPTIONS.exists():
        return []
    with EXCEPTIONS.open(newline="") as file:
        return [(row["number"], row["context"]) for row in csv.DictReader(file) if row["page"] == page]


def _typed(notebook: dict) -> Iterator[tuple[str, str, list[float]]]:
    """Every typed number with the words around it and the numbers that may back it."""
    sections: list[list[dict]] = [[]]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and re.match(r"##? ", "".join(cell["source"])):
            sections.append([])
        sections[-1].append(cell)
    everything = [value for section in sections for value in _values(section)]
    for section in sections:
        has_code = any(cell["cell_type"] == "code" for cell in section)
        known = _values(section) if has_code else everything
        for cell in section:
            if cell["cell_type"] == "markdown":
                text = _spoken("".join(cell["source"]))
                for found in NUMBER.finditer(text):
                    if len(found.group()) == 1 and not COUNTED.match(text[found.end() :]):
                        continue  # the name of a class: "the 3"
                    context = " ".join(text[max(0, found.start() - 60) : found.end() + 40].split())
                    yield found.group(), context, known


def _spoken(text: str) -> str:
    for pattern in SILENT:
        text = re.sub(pattern, " ", text, flags=re.S if "`" in pattern or r"\$" in pattern else re.M)
    return text


def _values(cells: list[dict]) -> list[float]:
    """All numbers in the code and in the outputs of some cells."""
    texts = []
    for cell in cells:
        if cell["cell_type"] == "code":
            texts.append("".join(cell["source"]))
            for output in cell["outputs"]:
                texts.append("".join(output.get("text", "")))
                for kind in ("text/plain", "text/markdown"):
                    texts.append("".join(output.get("data", {}).get(kind, "")))
    found = re.findall(r"\d[\d,_]*(?:\.\d+)?(?:e[-+]?\d+)?", " ".join(texts))
    return [float(each.replace(",", "").replace("_", "")) for each in found]


def _backed(number: str, context: str, known: list[float]) -> bool:
    plain = number.lstrip("-−–").replace(",", "")
    wanted, digits = float(plain), len(plain.partition(".")[2])
    percent = re.search(re.escape(number) + r"(?:\s| to )*[\d.]*\s*%", context) is not None
    scales = (1, 100) if percent else (1,)
    return any(abs(value * scale - wanted) <= 0.5 * 10**-digits + 1e-9 for value in known for scale in scales)


def main(*wanted: str) -> int:
    paths = [p for p in sorted(BOOKS.glob("*.ipynb")) if not wanted or p.name[:2] in wanted]
    paths += [Path(each) for each in wanted if each.endswith(".ipynb")]
    found = [each for path in paths for each in unbacked(path)]
    for each in found:
        print(f"{each.page}: {each.number:>8}   … {each.context} …")
    print(f"{len(found)} typed numbers that nothing on their page backs")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
