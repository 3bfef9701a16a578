"""What every page of the series gets beside its text: a cell for Colab, links to pages and terms, the way on.

Links are made when a notebook is written, so that texts stay plain: in each section the first mention of a
page ("notebook 03", "Notebooks 01, 03 and 04"), all of them in the row *You need* and in the line *Next*, and
on each page the first use of a term of the glossary that neither the page nor one that it needs has
introduced (a term that is emphasised is being introduced).
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "notebooks" / "text"
GLOSSARY = ROOT / "notebooks" / "glossary.md"
COLAB = """\
import sys

if "google.colab" in sys.modules:  # elsewhere the package is there already
    %pip install -q git+{repository}"""

NUMBER = r"\b(?:\d\d|[aA]\d)\b"
MENTION = re.compile(rf"\b(?:[Nn]otebooks?|[Pp]age)\s+({NUMBER}(?:(?:,\s+|,?\s+and\s+|\s+to\s+){NUMBER})*)")
LIST = re.compile(r"^(?:\| \*\*You need\*\*|\*\*Next:\*\*)[^\n]*", re.M)  # every number in it is a page
SILENT = r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|\[[^\]]*\]\([^)]*\)|https?://\S+|<[^>]*>"
HEADING = re.compile(r"^#[^\n]*", re.M)
EMPHASIS = r"\*\*[^*\n]+\*\*|\*[^*\n]+\*"
TABLE = r"^\|[^\n]*"


@cache
def series() -> dict[str, str]:
    """The pages in their order, number -> stem: 00 to 13, then A1 and A2."""
    stems = sorted(path.stem for path in TEXTS.glob("*.md"))
    return {stem[:2].lower(): stem for stem in stems if re.match(r"[\da]\d_", stem)}


def title(stem: str) -> str:
    """ "# 02 · Fisher against sensitivity: two ways" -> "02 Fisher against sensitivity"."""
    number, words = (TEXTS / f"{stem}.md").read_text(encoding="utf-8").split("\n", 1)[0][2:].split(" · ", 1)
    return f"{number} {re.split('[:,]', words)[0]}"


@cache
def needed(number: str) -> frozenset[str]:
    """The pages that a page announces as prerequisites, and what those announce."""
    head = (TEXTS / f"{series()[number]}.md").read_text(encoding="utf-8").split("```", 1)[0]
    row = re.search(r"^\| \*\*You need\*\* \|([^\n]*)", head, re.M)
    named = set(mentioned(row[1])) - {number} if row else set()
    return frozenset(named.union(*map(needed, named)))


def mentioned(text: str) -> Iterator[str]:
    """The numbers of pages in a text, "04 to 06" counted out."""
    for found in re.finditer(rf"({NUMBER})(?: to ({NUMBER}))?", text):
        first, last = (each and each.lower() for each in found.groups())
        order = list(series())
        if first in order:
            yield from order[order.index(first) : order.index(last) + 1] if last in order else [first]


@cache
def glossary() -> dict[str, tuple[str, str, str]]:
    """Term, in small letters -> (as its heading is written, its anchor, the number of its page)."""
    found = {}
    for entry in GLOSSARY.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, body = entry.split("\n", 1)
        home = re.search(r"\]\((\w\w)_\w+\.ipynb\)", body)[1]
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for name in re.split(r", | \(|\)", heading):
            found |= {name.lower(): (heading, anchor, home)} if name else {}
    return found


def outside(pattern: str, text: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` made to all that the pattern does not match."""
    parts = re.split(f"({pattern})", text, flags=re.S | re.M)
    return "".join(part if k % 2 else change(part) for k, part in enumerate(parts))


def page_links(text: str, number: str, seen: set[str]) -> str:
    """Mentions of other pages as links, each page once a section; ``seen`` goes on from cell to cell."""

    def link(found: re.Match) -> str:
        page = found[0].lower()
        there = page in series() and page != number
        return f"[{found[0]}]({series()[page]}.ipynb)" if there else found[0]

    def once(found: re.Match) -> str:
        again = found[0].lower() in seen
        seen.add(found[0].lower())
        return found[0] if again else link(found)

    def mentions(part: str) -> str:
        part = LIST.sub(lambda line: outside(SILENT, line[0], lambda s: re.sub(NUMBER, link, s)), part)
        return outside(SILENT, part, lambda s: MENTION.sub(lambda m: re.sub(NUMBER, once, m[0]), s))

    done = []
    for part in re.split(r"(^#[^\n]*)", text, flags=re.M):
        if HEADING.match(part):
            seen.clear()
        done.append(part if HEADING.match(part) else mentions(part))
    return "".join(done)


def term_links(text: str, number: str, seen: set[str]) -> str:
    """First uses of terms as links to the glossary, but for those that a needed page has introduced."""
    names = sorted(glossary(), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})(s|es)?(?![\w-])", re.I)

    def link(found: re.Match) -> str:
        heading, anchor, home = glossary()[found[1].lower()]
        if home in needed(number) or heading in seen:
            return found[0]
        seen.add(heading)
        return f"[{found[0]}](glossary.md#{anchor})"

    def emphasised(part: str) -> str:
        seen.update(glossary()[each[1].lower()][0] for each in pattern.finditer(part))
        return part

    def running(part: str) -> str:
        pieces = re.split(f"({EMPHASIS})", part)
        return "".join(emphasised(p) if k % 2 else pattern.sub(link, p) for k, p in enumerate(pieces))

    return outside(f"{SILENT}|{HEADING.pattern}|{TABLE}", text, running)


def way(number: str) -> str:
    """The line at the end of a page: the one before, up, the next, and the glossary."""
    order = list(series())
    at = order.index(number)
    before, after = (series()[order[k]] if 0 <= k < len(order) else None for k in (at - 1, at + 1))
    parts = [f"← [{title(before)}]({before}.ipynb)"] if before else []
    parts += ["↑ [all pages](../README.md#the-notebooks)"]
    parts += [f"[{title(after)}]({after}.ipynb) →"] if after else []
    return " · ".join([*parts, "[glossary](glossary.md)"])


def installation() -> nbformat.NotebookNode:
    """The cell for Colab, with the repository's address from ``[tool.lfssd_nb]`` in pyproject.toml; the
    book leaves it out."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["lfssd_nb"]
    cell = nbformat.v4.new_code_cell(COLAB.format(**settings), id="colab")
    cell.metadata["tags"] = ["remove-cell"]
    return cell


def complete(notebook: nbformat.NotebookNode, stem: str) -> nbformat.NotebookNode:
    """In place: links in its prose, the cell for Colab before the first code, the way on at the end."""
    number, pages, terms = stem[:2].lower(), set(), set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = page_links(cell.source, number, pages)
            cell.source = term_links(text, number, terms) if number in series() else text
    first = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first, installation())
    if number in series():
        notebook.cells.append(nbformat.v4.new_markdown_cell(way(number), id="way"))
    return notebook
