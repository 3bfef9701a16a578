"""make recheck: does what the pages claim hold for other training seeds and other processors?

Executes every page, all cells to the end, under the settings of ``SETTINGS``: training seeds shifted by
1000 to 5000, three narrower instruction sets; and once with an untrained network in place of every
dampened one. Writes ``notebooks/records/recheck.csv``: a row a claim, with how often it held of how many
executions, the range of its values, and whether the untrained network passes it ("same" where it
measures the same values with it). Lists typed numbers of the prose that other executions contradict.

Resumable: a page is executed again when its code, the package, the records or the setting have changed.

``recheck.py [00 01 ...] [--only SETTING ...]``: some pages, some settings, and no table. The exit code is 1
if a claim failed, or a cell, or if an untrained network passes a claim that gives no reason for it.
"""

import argparse
import ast
import copy
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import pandas as pd
from tqdm import tqdm
from typed_numbers import differing

from lfssd_nb.lab.read_records import RECORDS
from notebooks import BOOKS, ROOT, code_of, execute, in_a_line, pages, side_by_side

OUT = ROOT / "build" / "recheck"
TABLE = BOOKS / "records" / "recheck.csv"
PATCH = ROOT / "scripts" / "untrained.py"
UNTRAINED = "untrained"
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    **{f"seeds + {n}": {"LFSSD_SEED_OFFSET": str(n)} for n in (1000, 2000, 3000, 4000, 5000)},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "plain ATen": {"ATEN_CPU_CAPABILITY": "default"},
    "no AVX": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    UNTRAINED: {},
}
CACHE_OF = {UNTRAINED: "as it is"}  # the same trained networks


def slug(setting: str) -> str:
    return setting.replace(" + ", "+").replace(" ", "-")


def essence(source: str) -> str:
    """What source code does: its syntax tree without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [
                part for part in node.body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]  # fmt: skip
    return ast.dump(tree)


def package() -> str:
    """A hash of the package's code, on which all pages depend."""
    code = [essence(path.read_text()) for path in sorted((ROOT / "lfssd_nb").rglob("*.py"))]
    return hashlib.sha256("".join(code).encode()).hexdigest()


def records(code: str) -> str:
    """A hash of the committed records that a page's code names."""
    sha = hashlib.sha256()
    for path in sorted(RECORDS.rglob("*.csv*")):
        if any(part in code for part in path.relative_to(RECORDS).parts):
            sha.update(path.read_bytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Execution:
    """A page under a setting: where its results are, and what identifies them."""

    setting: str
    page: str
    notebook: nbformat.NotebookNode
    package: str

    @property
    def env(self) -> dict[str, str]:
        cache = OUT / "cache" / slug(CACHE_OF.get(self.setting, self.setting))
        return SETTINGS[self.setting] | {"LFSSD_CACHE": str(cache)}

    @cached_property  # the table asks for it many times, and it reads the records
    def key(self) -> str:
        code = "\n\n".join(cell.source for cell in code_of(self.notebook))
        parts = [code, records(code), self.env, self.package, self.setting]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def path(self, suffix: str) -> Path:
        return OUT / slug(self.setting) / f"{self.page}.{suffix}"

    def result(self) -> dict | None:
        """What was recorded, if it is there and still up to date."""
        path = self.path("json")
        found = json.loads(path.read_text()) if path.exists() else {}
        return found if found.get("key") == self.key else None

    def run(self) -> None:
        """Executes the page and records what came of it, unless that is there."""
        if self.result():
            return
        book = copy.deepcopy(self.notebook)
        if self.setting == UNTRAINED:
            first = next(cell for cell in book.cells if cell.cell_type == "code")
            first.source = f"exec(open({str(PATCH)!r}).read(), {{}})\n{first.source}"
        done = execute(self.page, book, self.env)
        self.path("json").parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(done.notebook, self.path("ipynb"))
        result = dict(key=self.key, seconds=done.seconds, errors=done.errors, statements=done.statements)
        self.path("json").write_text(json.dumps(result))
        tqdm.write(f"{self.setting} · {in_a_line(done)}")
        for claim in done.claims:
            if not claim["held"] and self.setting != UNTRAINED:
                tqdm.write(f"  cell {claim['cell']}: {claim['sentence']} {claim['values']}")


def claims_of(result: dict) -> dict[tuple, dict]:
    """The claims of one execution, each by (cell, kind, sentence, how many of the same came before)."""
    found: dict[tuple, dict] = {}
    seen: dict[tuple, int] = defaultdict(int)
    for each in result["statements"]:
        if each["kind"] != "here":
            name = (each["cell"], each["kind"], each["sentence"])
            found[*name, seen[name]] = each
            seen[name] += 1
    return found


def ranges(executions: list[dict]) -> str:
    """The values of a claim over executions: ``name low .. high``."""
    values: dict[str, list[float]] = defaultdict(list)

    def gather(name: str, value) -> None:
        if isinstance(value, dict):
            for k, v in value.items():
                gather(f"{name}[{k}]", v)
        elif isinstance(value, list):
            for v in value:
                gather(name, v)
        elif isinstance(value, int | float):
            values[name].append(float(value))

    for each in executions:
        for name, value in each["values"].items():
            gather(name, value)
    return "; ".join(
        f"{name} {min(v):.4g}" + (f" .. {max(v):.4g}" if min(v) < max(v) else "")
        for name, v in values.items()
    )


def table(executions: list[Execution]) -> pd.DataFrame:
    """One row a claim, over all executions that are there. A claim that one never reached did not hold."""
    rows = []
    for page in dict.fromkeys(each.page for each in executions):
        there = {e.setting: claims_of(r) for e in executions if e.page == page and (r := e.result())}
        untrained, plain = there.pop(UNTRAINED, {}), there.get("as it is", {})
        for name in dict.fromkeys(key for claims in there.values() for key in claims):
            cell, kind, sentence, nth = name
            found = {setting: claims[name] for setting, claims in there.items() if name in claims}
            failed = [s for s in there if s not in found or not found[s]["held"]]
            row = dict(notebook=page, cell=cell, kind=kind, claim=sentence, nth=nth)
            row |= dict(held=len(there) - len(failed), of=len(there), failed_in=", ".join(failed))
            row |= dict(untrained="", reason="", values=ranges(list(found.values())))
            if kind == "holds" and name in plain and untrained:
                mine, usual = untrained.get(name, {}), plain[name]
                same = usual["values"] and mine.get("values") == usual["values"]
                row["untrained"] = "same" if same else "passes" if mine.get("held") else "fails"
                row["reason"] = usual["untrained"]
            rows.append(row)
    return pd.DataFrame(rows)


def complaints(found: pd.DataFrame, executions: list[Execution]) -> Iterator[str]:
    """What should not be, one line each."""
    for row in found[found.held < found.of].itertuples():
        where = f"held {row.held} of {row.of}, not in {row.failed_in}"
        yield f"{row.notebook}, cell {row.cell}: {where}: {row.claim}"
    for row in found[(found.untrained == "passes") & (found.reason == "")].itertuples():
        yield f"an untrained network passes, no reason given: {row.notebook}, cell {row.cell}: {row.claim}"
    plain = {e.page: e for e in executions if e.setting == "as it is" and e.result()}
    for each in executions:
        if each.setting == UNTRAINED or not (result := each.result()):
            continue
        for cell, what in result["errors"]:
            yield f"{each.page} under '{each.setting}', cell {cell}: {what}"
        if each.page in plain and each.setting != "as it is":
            for typed in differing(plain[each.page].path("ipynb"), each.path("ipynb")):
                where = f"is not so under '{each.setting}'"
                yield f"{each.page}: typed {typed.number} {where}: … {typed.context} …"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", help="first two characters of the pages (default: all)")
    parser.add_argument(
        "--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), metavar="SETTING"
    )
    options = parser.parse_args()
    code, books = package(), pages(tuple(options.pages), written=True)
    executions = [
        Execution(setting, name, book, code) for setting in SETTINGS for name, book in books.items()
    ]
    todo = [each for each in executions if each.setting in options.only and not each.result()]
    for _ in tqdm(side_by_side([each.run for each in todo]), "executions", len(todo)):
        pass
    found = table(executions).sort_values(["notebook", "cell"], kind="stable")
    if not options.pages:
        found.to_csv(TABLE, index=False)
    wrong = list(complaints(found, executions))
    print(f"{len(found)} claims, {(found.held == found.of).sum()} held in every execution that is there")
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
