"""The findings behind the ten answers: sentences that committed pages printed, collected into findings.csv.

A finding is named by its page and some words of its claim; what the page measured comes with it. The
last page shows them below its answers, so that no number is copied by hand. Run it after a page was executed.
"""

import re
import sys
from functools import cache

import nbformat
import pandas as pd

from lfssd_nb.lab.read_records import RECORDS
from notebooks import BOOKS, code_of

TABLE = RECORDS / "findings.csv"
SAID = re.compile(r"> (?:✓|\*\*In this run\*\* ·) (.*)", re.DOTALL)
FINDINGS: dict[str, tuple[tuple[str, str], ...]] = {  # by question: page, words
    "intuition": (
        ("14", "LFSSD ranks the damages of others"),
        ("14", "All four ratios rank filters by selectivity"),
        ("14", "LFSSD's ratio separates the digit"),
    ),
    "cost": (
        ("16", "stay within 10 % of the floor's operations"),
        ("16", "Batch means write less than twice"),
        ("16", "Per-sample importances hold no more at once"),
        ("16", "Adam's minus computed"),
    ),
    "fisher": (
        ("16", "On fitted, smoothed networks the two methods end equally far"),
        ("16", "On plain networks SSD needs more images"),
        ("16", "one wrong label in ten costs SSD"),
        ("16", "On the rare class neither method"),
    ),
    "alpha": (
        ("09", "LFSSD's best common value"),
        ("12", "A class: on"),
        ("12", "A class, full width"),
        ("12", "The little networks"),
        ("12", "A sub-class: gold still calls"),
        ("18", "No single α′ serves all"),
        ("18", "Chosen for the network, by agreement"),
    ),
    "modalities": (
        ("18", "A class, an exercise or a language"),
        ("18", "A side: gold recognises"),
        ("18", "A class of questions: LFSSD ends"),
        ("17", "to do nothing ends within 6 points"),
        ("12", "A person, at"),
    ),
    "norms": (
        ("15", "The score matters most"),
        ("15", "Square against `abs`"),
        ("15", "Batch means are not 2 points further"),
    ),
    "large": (
        ("19", "Stopping early is as near to gold"),
        ("19", "At 90 % dampening costs"),
        ("19", "Frozen without threes"),
        ("19", "Frozen with threes"),
    ),
    "perturbation": (
        ("13", "lowest points lie within"),
        ("13", "With 100 times as many directions"),
        ("13", "In float32 a push of 0.001"),
    ),
    "second order": (
        ("15", "Adding the second order"),
        ("15", "To dampen only among the sharpest"),
        ("15", "The Gauss-Newton of the loss"),
    ),
    "architectures": (
        ("20", "the constant ends further from gold than agreement"),
        ("20", "Gap to gold by agreement"),
        ("20", "to delete them ends"),
    ),
    "requests": (
        ("17", "For one class LFSSD is within"),
        ("17", "For five classes at once"),
        ("17", "With I(D) of the current network five"),
        ("17", "With all of it known LFSSD removes the backdoor"),
        ("17", "Forgetting the wrong labels does not help"),
    ),
}


@cache  # a page has several findings
def sentences(page: str) -> tuple[str, ...]:
    """What the claims of a committed page said, in order."""
    found = []
    (path,) = BOOKS.glob(f"{page}_*.ipynb")
    for cell in code_of(nbformat.read(path, as_version=4)):
        for output in cell.outputs:
            if said := SAID.fullmatch(output.get("data", {}).get("text/markdown", "")):
                found.append(said.group(1))
    return tuple(found)


def collected() -> pd.DataFrame:
    """A row a finding: ``question``, ``page``, ``sentence``. ``LookupError`` for one that no page says."""
    rows = []
    for question, wanted in FINDINGS.items():
        for page, words in wanted:
            said = [each for each in sentences(page) if words in each]
            if len(said) != 1:
                raise LookupError(f"{len(said)} sentences of page {page} contain {words!r}")
            rows.append((question, page, *said))
    return pd.DataFrame(rows, columns=["question", "page", "sentence"])


def main() -> int:
    collected().to_csv(TABLE, index=False)
    print(f"{len(pd.read_csv(TABLE))} findings in {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
