"""make bench, second part: what a cell of an alpha x lambda grid costs, on one trained model, in one run.

(a) evaluation alone: as many forward passes over the same test images, nothing dampened;
(b) the published recipe anew for every cell: batch-mean importances of D_f and D (64 at a time), dampening,
    and the published evaluation (accuracies on D_r, D_f and test images, membership attack);
(c) the same, evaluated on the test images alone, as the sweep does. (b) and (c) are timed on a few cells.

Two grids: an ordinary one, whose corners hold cells that are one network (alpha below lambda, alpha above
every ratio) and are evaluated once; and one in which all 200 cells are different. Importances are computed
once before either; their seconds are printed.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch

from lfssd_nb import dampening, data, importance, networks
from lfssd_nb.data import scenarios
from lfssd_nb.lab import comparison
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.redampen import Dial
from lfssd_nb.sweeps import grids

ALPHAS, LAMS = np.geomspace(1.2, 6, 20), np.linspace(0.1, 1, 10)
ORDINARY = np.geomspace(0.5, 12, 20)  # from far below lambda's largest value to above the ceiling


def timed(job, repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        spent.append(time.perf_counter() - start)
    return min(spent)


def cells_per_second(architecture: Architecture, repeats: int) -> pd.DataFrame:
    digits = data.load("digits", device="cpu")
    three = scenarios.forget_class(digits, 3)
    model = training.trained(digits, architecture, show=False)
    forget, full = digits.train_x[three.forget], digits.train_x
    x, measure = grids.exam(digits, three)

    def anew(alpha=2.0, lam=1.0):
        pair = (importance.sensitivity(model, s, reduction="batch", batch_size=64) for s in (forget, full))
        return dampening.dampen(model, *pair, alpha, lam)[0]

    n = len(ALPHAS) * len(LAMS)

    def evaluations():
        for _ in range(n):
            measure(networks.logits(model, x))

    start = time.perf_counter()
    pairs = {"LFSSD": (importance.sensitivity(model, forget), importance.sensitivity(model, full))}
    print(f"both importances, once: {time.perf_counter() - start:.2f} s")
    sizes = {len(Dial(model, *pairs["LFSSD"]).chosen(float(alpha))) for alpha in ALPHAS}
    assert len(sizes) == len(ALPHAS), "two alphas select the same set: the grid would save a pass"

    def grid(stack=1, alphas=ALPHAS):
        grids.grid(model, pairs, x, measure, map(float, alphas), map(float, LAMS), stack=stack, show=False)

    spent = {
        "(a) evaluation alone": timed(evaluations, repeats) / n,
        "sweep, ordinary grid": timed(lambda: grid(alphas=ORDINARY), repeats) / n,
        "sweep, all cells different": timed(grid, repeats) / n,
        "sweep, different, 5 stacked": timed(lambda: grid(5, ALPHAS[:2]), repeats) / (2 * len(LAMS)),
        "(c) importances per cell": timed(lambda: measure(networks.logits(anew(), x)), max(3, repeats)),
        "(b) published recipe per cell": timed(
            lambda: comparison.evaluate(anew(), digits, three), max(3, repeats)
        ),
    }
    table = pd.DataFrame({"cells / s": 1 / pd.Series(spent)})
    table["time, x (a)"] = table["cells / s"].iloc[0] / table["cells / s"]
    table["speed, x (c)"] = table["cells / s"] / table["cells / s"].iloc[-2]
    table["speed, x (b)"] = table["cells / s"] / table["cells / s"].iloc[-1]
    return table.round(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    for name, architecture in {"ResNet18 w16": Architecture(), "ViT micro": Architecture("vit")}.items():
        print(f"\n{len(ALPHAS)} x {len(LAMS)} grid on {name}, digits, {torch.get_num_threads()} threads")
        print(cells_per_second(architecture, repeats).to_string(), flush=True)


if __name__ == "__main__":
    main()
