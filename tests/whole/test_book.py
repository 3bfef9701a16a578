"""`make book`: it builds without a warning, every link inside it leads somewhere, and browsers show it."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from chromium import CHROMIUM
from patience import patience

import lfssd_nb

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPO = "https://github.com/me/lfssd_nb"
BUILD = [sys.executable, str(ROOT / "book" / "build.py"), "-q", "-W", "--keep-going"]  # -W: no warning
AROUND = os.environ | {"OMP_NUM_THREADS": "1"}
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}
TEX = re.compile(r"\\(alpha|lambda|theta|frac|operatorname|partial|sum|left)\b|\$[^$]+\$")


class Page(HTMLParser):
    """Links, anchors, pictures with their texts, formulas, and words outside of code and formulas."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.pictures: list[tuple[str, str | None]] = []
        self.formulas, self.words = 0, ""
        self.inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        self.anchors |= {about[k] for k in ("id", "name") if k in about}
        if link := about.get(LINKS.get(tag, "")):
            self.links.append(link)
        if tag == "img":
            self.pictures.append((about["src"], about.get("alt")))
        self.formulas += tag == "math"
        if tag in ("math", "pre", "code", "script", "style", "title"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.words += data


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The book as ``make book REPO=...`` builds it."""
    folder = tmp_path_factory.mktemp("book")
    done = subprocess.run(
        [*BUILD, "--repo", REPO, "--out", str(folder)], env=AROUND, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pages(out) -> dict[Path, Page]:
    return {
        path: Page(path) for path in sorted((out / "html").rglob("*.html")) if "_static" not in path.parts
    }


def test_every_link_inside_leads_somewhere(out, pages):
    broken, tried = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme in ("https", "mailto", "data"), (path.name, link)
                continue
            tried += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file() and target.is_relative_to(out / "html")
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].anchors
            if not there:
                broken.append((path.name, link))
    assert tried > 1000 and not broken, broken[:10]


def test_the_picture_of_the_front_page_keeps_the_line_below_it(out, pages):
    """A line that begins and ends with a star is no pattern of pages."""
    assert "handwritten digits forgets the 3: test accuracy" in pages[out / "html" / "index.html"].words


def test_nothing_that_a_page_loads_is_elsewhere(out, pages):
    """No script, style or picture of another address, in pages or style sheets."""
    for path in (out / "html").rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:[^"]*|//[^"]*)"', path.read_text())
        loaded += re.findall(
            r'<link[^>]*rel="(?:stylesheet|preload)"[^>]*href="(https?:[^"]*)"', path.read_text()
        )
        assert not loaded, (path.name, loaded)
    css = (out / "html" / "_static" / "style.css").read_text()
    for name in re.findall(r'url\("([^"]+)"\)', css):
        assert (out / "html" / "_static" / name).is_file(), name


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_shows_all_that_its_notebook_holds(out, pages, notebook):
    page = pages[out / "html" / "notebooks" / f"{notebook.stem}.html"]
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [
        output
        for cell in cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    shown = [alt for source, alt in page.pictures if "_images/" in source]
    assert len(shown) >= len(outputs)
    for output in outputs:
        written = output["metadata"].get("image/png", {}).get("alt") or output["metadata"].get("alt")
        assert not written or written in shown
    formulas = [
        c for c in cells if c["cell_type"] == "markdown" and re.search(r"\$[^$]+\$", "".join(c["source"]))
    ]
    assert page.formulas >= len(formulas)
    assert not TEX.search(page.words), TEX.search(page.words)
    source = out / "html" / "_sources" / "notebooks" / notebook.name
    assert source.read_bytes() == notebook.read_bytes()  # what the button downloads
    assert any(link.split("?")[0].endswith(f"_sources/notebooks/{notebook.name}") for link in page.links)


def test_pages_lead_on_and_to_each_other(out, pages):
    first, second = (pages[out / "html" / "notebooks" / f"{n.stem}.html"] for n in NOTEBOOKS[:2])
    assert f"{NOTEBOOKS[1].stem}.html" in first.links and f"{NOTEBOOKS[0].stem}.html" in second.links
    third = pages[out / "html" / "notebooks" / "03_dampening_rule.html"]
    assert "notebook 02 for what an importance is" in " ".join(third.words.split())  # a mention
    assert third.links.count("02_fisher_vs_sensitivity.html") > 3  # sidebar, previous, mentions


def test_the_reference_has_every_public_name_and_formulas(out, pages):
    listed = " ".join(lfssd_nb.__doc__.split()).split("audit`):", 1)[1]
    for part in listed.split("·"):
        wing, names = re.match(r"\s*`(\w+)` (.*)", part).groups()
        page = pages[out / "html" / "reference" / f"{wing}.html"]
        for name in names.strip().split(", "):
            full = f"lfssd_nb.{wing}.{name}"
            assert full in page.anchors or f"module-{full}" in page.anchors, full
    formulas = sum(page.formulas for path, page in pages.items() if path.parent.name == "reference")
    assert formulas > 80


def test_launch_buttons_are_those_of_the_given_repository(out, pages):
    page = pages[out / "html" / "notebooks" / "03_dampening_rule.html"]
    where = "me/lfssd_nb/blob/main/notebooks/03_dampening_rule.ipynb"
    assert f"https://colab.research.google.com/github/{where}" in page.links
    assert any(link.startswith("https://mybinder.org/v2/gh/me/lfssd_nb/main?") for link in page.links)


def test_without_a_repository_there_are_no_launch_buttons(tmp_path):
    """A book of one page: the same settings, no address."""
    source, name = tmp_path / "source", "notebooks/03_dampening_rule"
    shutil.copytree(ROOT / "book", source, ignore=shutil.ignore_patterns("index.md", "__pycache__"))
    (source / "notebooks").mkdir()
    shutil.copy(ROOT / f"{name}.ipynb", source / "notebooks")
    again = ["-q", "-b", "html", "-D", f"root_doc={name}", str(source), str(tmp_path / "html")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *again],
        env=AROUND | {"LFSSD_BOOK_REPO": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    links = Page(tmp_path / "html" / f"{name}.html").links
    assert not [link for link in links if "colab" in link or "binder" in link or "/me/" in link]


@pytest.mark.parametrize("repo", ["me/lfssd_nb", "https://gitlab.com/me/lfssd_nb", "https://github.com/me"])
def test_an_address_that_cannot_be_launched_is_refused(repo, tmp_path):
    done = subprocess.run(
        [*BUILD, "--repo", repo, "--out", str(tmp_path)], env=AROUND, capture_output=True, text=True
    )
    assert done.returncode == 2 and f"--repo {repo}: Colab and Binder want" in done.stderr
    assert not list(tmp_path.iterdir())


# ---- in a browser

LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (400, "light")}
SHOWN = ["index.html", "notebooks/03_dampening_rule.html", "reference/importance.html"]
FORMULAS = """() => [...document.querySelectorAll('math')].filter(m => m.checkVisibility()).map(m => {
    const box = m.getBoundingClientRect();
    return box.width > 2 && box.height > 5 && !m.querySelector('merror');
})"""
WIDE = """() => [...document.querySelectorAll('article *')].filter(each => {
    const box = each.getBoundingClientRect();
    if (!each.checkVisibility() || box.width === 0 || box.right <= innerWidth + 1) return false;
    for (let up = each.parentElement; up; up = up.parentElement)
        if (up.tagName === 'ARTICLE') return true;
        else if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return false;
}).map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium found: the book's browser test needs one, apt install chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=1000 * patience())
        yield browser
        browser.close()


def opened(browser, path: Path, look: str, asked: list[str]):
    """A page from the disk, as a reader without a network sees it. ``asked``: what else it wanted."""
    width, scheme = LOOKS[look]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(1000 * patience())
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else asked.append(r.url))
    tab.on("requestfailed", lambda r: asked.append(f"failed: {r.url}"))
    tab.on("console", lambda m: asked.append(m.text) if m.type == "error" else None)
    tab.goto(path.as_uri())
    tab.evaluate("document.fonts.ready")
    return tab


@pytest.mark.parametrize("look", LOOKS)
def test_pages_in_a_browser(out, browser, look, tmp_path):
    for name in SHOWN:
        asked: list[str] = []
        tab = opened(browser, out / "html" / name, look, asked)
        tab.screenshot(path=tmp_path / f"{look}.png")
        assert tab.evaluate("document.documentElement.scrollWidth") <= LOOKS[look][0], name
        assert not (wide := tab.evaluate(WIDE)), (name, wide[:3])
        formulas = tab.evaluate(FORMULAS)
        assert all(formulas) and (name == "index.html" or len(formulas) > 5), name
        if formulas:
            assert tab.evaluate("document.fonts.check('16px \"STIX Two Math\"')")
        shade = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", shade)[:3])) < 80) == (look == "dark"), shade
        assert not asked, (name, asked)
        tab.context.close()


def test_the_search_finds(out, browser):
    tab = opened(browser, out / "html" / "search.html", "light", [])
    tab.goto((out / "html" / "search.html").as_uri() + "?q=ceiling")
    tab.locator("#search-results li a").first.wait_for()
    found = [each.get_attribute("href") for each in tab.locator("#search-results li a").all()]
    assert any("03_dampening_rule.html" in link for link in found), found
    tab.context.close()
