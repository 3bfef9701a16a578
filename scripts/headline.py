"""The headline comparison: forgetting digit 3, as a table and a figure under build/.

Original, retrained (gold), LFSSD and SSD on the embedded digits, class 3, ResNet18 of width 16,
seed 0, alpha chosen by agreement. ``--docs`` also renews the figure that the README shows.
"""

import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from lfssd_nb import agreement, data, unlearn
from lfssd_nb.course import page
from lfssd_nb.data import scenarios
from lfssd_nb.figures import style
from lfssd_nb.lab import comparison
from lfssd_nb.networks.architecture import Architecture

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    page.begin()
    digits = data.load("digits", device="cpu")
    methods = {name: {"alpha": agreement.NAME} for name in unlearn.METHODS}
    three = scenarios.forget_class(digits, 3)
    done = comparison.compare(digits, three, Architecture("resnet18", width=16), methods)
    path = ROOT / "build" / "headline.png"
    path.parent.mkdir(exist_ok=True)
    style.headline(done.table, "digit 3", digits.source).savefig(path, dpi=110)
    if "--docs" in sys.argv:
        (ROOT / "docs").mkdir(exist_ok=True)
        shutil.copy(path, ROOT / "docs" / "headline.png")
    print("\nForgetting digit 3 (accuracies in %, mia: share of the forget set called members)\n")
    print(done.table.rename(index=style.LABELS).round(2).to_string())
    print(f"\nfigure: {path}")


if __name__ == "__main__":
    main()
