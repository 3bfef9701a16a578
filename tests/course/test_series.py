"""The way through the series: links between pages, the glossary, the cell for Colab."""

import json
import re
import sys
import types
from pathlib import Path

import pytest
import series
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [path for path in BOOKS if path.stem != "solutions"]
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
NOT_PROSE = r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|^#[^\n]*|^\|[^\n]*"
MENTION = re.compile(
    r"\b[Nn]otebooks?\s+(?:\[?(?:\d\d|A\d)\b(?:\]\([^)]*\))?(?:,?\s+and\s+|,\s+|\s+to\s+)?)+"
)


def cells(path: Path, kind: str) -> list[str]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def prose(text: str) -> str:
    """Without code, formulas, headings and tables."""
    return re.sub(NOT_PROSE, " ", text, flags=re.S | re.M)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_the_first_mention_of_a_page_in_a_section_is_a_link(path):
    tried = 0
    for section in re.split(r"^#+ [^\n]*$", "\n\n".join(cells(path, "markdown")), flags=re.M):
        section, linked = re.sub(r"```.*?```|`[^`]*`", " ", section, flags=re.S), set()
        for mention in MENTION.finditer(section):
            for number, target in re.findall(r"(\b(?:\d\d|A\d)\b)(?:\]\(([^)]*)\))?", mention[0]):
                if number.lower() == path.stem[:2] or number.lower() not in series.series():
                    continue
                assert number in linked or target == f"{series.series()[number.lower()]}.ipynb", mention[0]
                linked.add(number)
                tried += 1
    assert tried or path.stem in ("a2_mathematics", "solutions")


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_every_link_of_a_page_leads_to_a_file_and_an_entry(path):
    anchors = {anchor for _, anchor, _ in series.glossary().values()}
    for words, target in LINK.findall("\n".join(cells(path, "markdown"))):
        if not target.startswith(("http", "mailto", "#")):
            file, _, anchor = target.partition("#")
            assert (path.parent / file).is_file(), (words, target)
            assert file != "glossary.md" or not anchor or anchor in anchors, (words, target)


def test_the_way_goes_forward_and_back():
    order = [path.stem for path in PAGES]
    assert order == list(series.series().values())
    for k, path in enumerate(PAGES):
        targets = [target for _, target in LINK.findall(cells(path, "markdown")[-1])]
        beside = [order[j] for j in (k - 1, k + 1) if 0 <= j < len(order)]
        assert [t for t in targets if t.endswith(".ipynb")] == [f"{name}.ipynb" for name in beside]
        assert {"../README.md#the-notebooks", "glossary.md"} < set(targets)


def test_readme_map_and_book_name_every_page():
    readme, drawn = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/series.svg"))
    numbers = re.findall(r'class="number"[^>]*>(\w+)<', drawn)
    assert [n.lower() for n in numbers] == list(series.series())
    assert "## The notebooks" in readme and all(f"](notebooks/{path.name})" in readme for path in BOOKS)
    for text in (readme, (ROOT / "book" / "index.md").read_text(encoding="utf-8")):
        alt = re.search(r"!\[([^\]]*)\]\(docs/series\.svg\)", text)[1]
        assert all(n in alt for n in numbers)


# ---- the glossary


def entries() -> dict[str, str]:
    text = series.GLOSSARY.read_text(encoding="utf-8")
    return dict(entry.split("\n", 1) for entry in text.split("\n## ")[1:])


def test_the_glossary_is_short_sorted_and_says_where():
    names = list(entries())
    assert len(names) > 30 and names == sorted(names, key=str.lower)
    for name, body in entries().items():
        words, _, where = body.partition("Introduced in")
        assert 8 < len(words.split()) < 60 and where, name
        assert len(re.findall(r"[.!?](?:\s|$)", re.sub(r"\$[^$]*\$", "x", words))) <= 4, name


@pytest.mark.parametrize("term", [*series.glossary()])
def test_the_page_that_introduces_a_term_uses_it(term):
    _, _, home = series.glossary()[term]
    text = "\n".join(cells(ROOT / "notebooks" / f"{series.series()[home]}.ipynb", "markdown")).lower()
    assert (
        term in text.replace("\n", " ") or {"alpha": r"\alpha", "lambda": r"\lambda"}.get(term, "?") in text
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_term_is_used_before_it_is_introduced(path):
    """The first use of a term that no needed page introduces is a link, or emphasised: introduced."""
    number, text = path.stem[:2], prose("\n\n".join(cells(path, "markdown")))
    known = series.needed(number)
    for heading in {heading for heading, _, home in series.glossary().values() if home not in known}:
        names = [name for name, (of, _, _) in series.glossary().items() if of == heading]
        pattern = rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?:s|es)?(?![\w-])"
        if first := re.search(
            pattern, re.sub(r"\]\([^)]*\)", lambda m: "]" + " " * (len(m[0]) - 1), text), re.I
        ):
            before, after = text[: first.start()], text[first.end() :]
            linked = re.search(r"\[[^\]]*$", before) and re.match(r"[^\[]*\]\(", after)
            line = before.rsplit("\n", 1)[-1]
            emphasised = line.count("*") % 2 == 1 or line.count("**") % 2 == 1
            assert linked or emphasised, f"{heading!r}: {before[-60:]}{first[0]}{after[:40]}"


LINKED = "notebook [03](03_dampening_rule.ipynb)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see notebook 03, notebook 03", f"see {LINKED}, notebook 03"),
        (f"{LINKED} `notebook 03` $03$", f"{LINKED} `notebook 03` $03$"),
        ("notebook 03\n## notebook 03\nnotebook 03", f"{LINKED}\n## notebook 03\n{LINKED}"),
        ("all 12, notebook 05, page A1, notebook 77",
         "all 12, notebook 05, page [A1](a1_bug_museum.ipynb), notebook 77"),
        ("notebook 03. **Next:** 03 or 04", f"{LINKED}. **Next:** 03 or 04"),  # not a line of its own
        ("notebook 03\n\n**Next:** 03",
         f"{LINKED}\n\n**Next:** [03](03_dampening_rule.ipynb)"),
        ("**Next:** 04 a class", "**Next:** [04](04_class_forgetting.ipynb) a class"),
        ("| **You need** | 04 to 06 |",
         "| **You need** | [04](04_class_forgetting.ipynb) to [06](06_random_forgetting.ipynb) |"),
    ],
)  # fmt: skip
def test_mentions_become_links(text, found):
    assert series.page_links(text, "05", set()) == found


@pytest.mark.parametrize(
    ("number", "text", "found"),
    [
        ("02", "KLOM, KLOM", "[KLOM](glossary.md#klom), KLOM"),
        ("02", "the gold models", "the gold models"),  # 00 has introduced it
        ("08", "**KLOM** is; then KLOM", "**KLOM** is; then KLOM"),
        ("02", "`KLOM` $KLOM$ [KLOM](x)\n## KLOM\n| KLOM |", "`KLOM` $KLOM$ [KLOM](x)\n## KLOM\n| KLOM |"),
        ("00", "two bits, U-LiRA", "two [bits](glossary.md#bit), [U-LiRA](glossary.md#u-lira)"),
    ],
)  # fmt: skip
def test_first_uses_of_terms_become_links(number, text, found):
    assert series.term_links(text, number, set()) == found


def test_what_is_needed_is_counted_through():
    assert series.needed("00") == series.needed("a2") == frozenset()
    assert {"00", "01", "02", "03"} <= series.needed("06") and "05" not in series.needed("06")
    assert [*series.mentioned("notebooks 01 and 04 to 06; A2")] == ["01", "04", "05", "06", "a2"]


# ---- Colab


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("on_colab", [True, False], ids=["on Colab", "elsewhere"])
def test_the_first_cell_installs_the_package_on_colab_alone(path, on_colab, monkeypatch):
    first, second = cells(path, "code")[:2]
    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    asked = []
    shell = types.SimpleNamespace(run_line_magic=lambda *what: asked.append(what))
    exec(TransformerManager().transform_cell(first), {"get_ipython": lambda: shell})
    repository = re.search(r'^repository = "(\S+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert asked == [("pip", f"install -q git+{repository}")] * on_colab
    assert "page.begin(" in second and "lfssd_nb" not in first.split("%pip")[0]
