"""Builds the book: the executed notebooks and the docstrings as a site, in build/book/html.

Nothing is executed and nothing downloaded. ``--repo https://github.com/ME/lfssd_nb`` adds buttons that open
a page on Colab and Binder and show the repository; without it there are none.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

from reference import pages
from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGES = {".md", ".rst", ".ipynb"}
TEXTS = ("README.md", "INSTRUCTORS.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def assemble(source: Path) -> None:
    """All sources in one folder, with the times of their files: Sphinx reads again what has changed."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns("text", "*.py"))
    shutil.copytree(ROOT / "docs", source / "docs")
    for name in TEXTS:
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, source / name)
    index = source / "index.md"
    lines = [line for line in index.read_text(encoding="utf-8").splitlines() if not empty(source, line)]
    index.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (source / "reference").mkdir()
    for name, text in pages().items():
        (source / "reference" / name).write_text(text, encoding="utf-8")


def empty(source: Path, line: str) -> bool:
    """Whether a line of the contents is a pattern that no page has, as long as nobody has written one. A line
    of words that ends in emphasis is none."""
    pattern = re.fullmatch(r"\S+\*", line)
    return pattern is not None and not any(p.suffix in PAGES for p in source.glob(f"{line}.*"))


def build(out: Path, repo: str = "", branch: str = "main", *options: str) -> int:
    """Sphinx's exit status. Raises ``ValueError`` for an address that the launch buttons cannot use."""
    if repo and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+?/?", repo):
        raise ValueError(f"--repo {repo}: Colab and Binder want https://github.com/OWNER/NAME")
    os.environ |= {"LFSSD_BOOK_REPO": repo.rstrip("/"), "LFSSD_BOOK_BRANCH": branch}
    assemble(out / "source")
    return sphinx(
        ["-b", "html", "-d", str(out / "doctrees"), *options, str(out / "source"), str(out / "html")]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repo", default="", help="the repository's address on GitHub")
    parser.add_argument("--branch", default="main", help="its branch (default: main)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="where to build")
    given, options = parser.parse_known_args()  # what is left is Sphinx's: -W, -q, -j 2
    try:
        code = build(given.out.resolve(), given.repo, given.branch, *options)
    except ValueError as error:
        parser.error(str(error))
    print(f"The book: {given.out.resolve() / 'html' / 'index.html'}")
    sys.exit(code)
