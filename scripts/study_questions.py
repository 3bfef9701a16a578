"""Longer text: questions of which a class, a finer class or all that begin alike are forgotten (page 18).

    python scripts/study_questions.py --data FOLDER    writes lfssd_nb/lab/committed/questions.csv

FOLDER holds the two files of the TREC question classification, which are not part of this project (no licence
is stated): ``train_5500.label`` and ``TREC_10.label``. A line is ``COARSE:fine question ?`` in Latin-1, its
words apart. What is finished stays in build/questions; stop it at any moment and start it again.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import pandas as pd
from torch import Tensor, nn

from lfssd_nb import agreement
from lfssd_nb.data import Dataset, scenarios
from lfssd_nb.importance import Importance, fisher, sensitivity
from lfssd_nb.lab import cases, record_files
from lfssd_nb.lab.read_records import RECORDS
from lfssd_nb.networks import gold, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.conv1d import Conv1dClassifier
from lfssd_nb.networks.forward import logits
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.seeds import training_seed
from lfssd_nb.redampen import Dial
from lfssd_nb.sweeps import grids
from lfssd_nb.system import files
from lfssd_nb.system.progress import progress
from lfssd_nb.unlearn import default_alpha

ROOT = Path(__file__).resolve().parent.parent
WHERE = "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
FILES = {"train": "train_5500.label", "test": "TREC_10.label"}
COARSE = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
LENGTH = 20  # words; what comes after them is left out
OFTEN = 2  # a word of the vocabulary occurs so often in the training file; all others are one token
FIRST = ("what", "how", "who", "where", "when", "which", "why", "name")  # groups; all others are one
SEEDS = range(6)
REQUESTS = {
    "class": COARSE,
    "subclass": ("DESC:def", "NUM:date", "LOC:city", "ENTY:animal"),
    "group": ("how", "who"),
}


class WordConvolution(nn.Module):
    """Words as vectors of 32 numbers, then the convolution for time series."""

    def __init__(self, n_words: int, n_classes: int):
        super().__init__()
        self.embedding = nn.Embedding(n_words, 32, padding_idx=0)
        self.convolution = Conv1dClassifier(n_classes, 32, 24)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.convolution(self.embedding(tokens).transpose(1, 2))


def convolution(d: Dataset) -> nn.Module:
    return WordConvolution(1 + int(max(d.train_x.max(), d.test_x.max())), len(d.classes))


NETS = {
    "convolution": (convolution, Recipe(6, 0.1, 128)),
    "GRU": (Architecture("gru", 32), Recipe(5, 2e-2, 128, 0.3, "adamw")),
}


@dataclass(frozen=True)
class Request:
    """One request on one network. ``digest``: of the data."""

    measured: ClassVar[tuple[str, ...]] = ("rule", "retained", "forgotten")

    net: str
    seed: int
    kind: str
    target: str
    digest: str

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        recipe = repr(NETS[self.net][1])
        return cases.key(["questions", cases.shallow(self), training_seed(self.seed), recipe])


def planned(digest: str = "") -> list[Request]:
    """Every request on every network, network by network."""
    targets = [(kind, target) for kind, names in REQUESTS.items() for target in names]
    return [Request(net, seed, *each, digest) for net in NETS for seed in SEEDS for each in targets]


def read(path: Path) -> list[tuple[str, list[str]]]:
    """The questions of a label file: ``COARSE:fine`` and the words in lower case. Raises ``ValueError``,
    naming the line, for one that is no label with a known coarse class and a question."""
    found = []
    for k, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        if not line.strip():
            continue
        label, *words = line.split()
        coarse, colon, fine = label.partition(":")
        if coarse not in COARSE or not colon or not fine or not words:
            raise ValueError(
                f"{path}, line {k}: {line[:40]!r} is not 'COARSE:fine question' with COARSE one of "
                f"{', '.join(COARSE)}; get the file anew from {WHERE}"
            )
        found.append((label, [word.lower() for word in words]))
    return found


def load(folder: str | Path) -> Dataset:
    """The questions as tokens ``[N, LENGTH]``, labelled by coarse class; the fine ones are sub-classes, the
    first words groups. 0 fills up, 1 is any word that the vocabulary lacks. Raises ``FileNotFoundError``
    saying where to get the files."""
    split = {}
    for part, name in FILES.items():
        paths = sorted(Path(folder).glob(f"*{name}"))
        if not paths:
            raise FileNotFoundError(f"{folder} holds no {name}: download it from {WHERE} into that folder")
        split[part] = read(paths[0])
    counts = pd.Series([word for _, words in split["train"] for word in words]).value_counts()
    token = {word: k for k, word in enumerate(sorted(counts.index[counts >= OFTEN]), 2)}
    arrays = {}
    for part, questions in split.items():
        rows = [[token.get(word, 1) for word in words[:LENGTH]] for _, words in questions]
        arrays[f"{part}_x"] = [row + [0] * (LENGTH - len(row)) for row in rows]
        arrays[f"{part}_y"] = [label for label, _ in questions]
        arrays[f"{part}_group"] = [w[0] if w[0] in FIRST else "others" for _, w in questions]
    fine = sorted({*arrays["train_y"], *arrays["test_y"]})
    parents = [COARSE.index(label.partition(":")[0]) for label in fine]
    source = f"TREC question classification, {WHERE}"
    return Dataset.from_tensors(
        **arrays, name="questions", classes=fine, parents=parents, superclasses=COARSE, source=source
    ).coarsen()


def judged(each: Request, d: Dataset, model: nn.Module, full: dict[str, Importance]) -> list[dict]:
    """A row for the original ("nothing"), one for a network retrained without D_f from another seed ("gold"),
    and for LFSSD and SSD one a rule: alpha by "agreement", the "constant" of `unlearn.default_alpha`, and
    "best", of agreement's thresholds the one nearest to gold on the test questions, which no rule can know.
    ``retained``, ``forgotten``: test accuracy in percent; ``gap``: mean distance of both from gold's."""
    request = scenarios.make(d, each.kind, each.target)
    x, y = d.train_x[request.forget], d.train_y[request.forget]
    exam, measure = grids.exam(d, request)
    fresh = gold.retrained(d, request, *NETS[each.net], seeds=[each.seed + 100], show=False)[0]
    sizes = dict(n_forget=len(x), n_test=len(request.test_forget))
    about = dict(network=each.net, seed=each.seed, kind=each.kind, target=each.target) | sizes
    rows = []

    def found(seen: nn.Module) -> pd.Series:
        return pd.Series(measure(logits(seen, exam)))

    def ends(seen: nn.Module) -> dict[str, float]:
        reached = found(seen)
        return reached.to_dict() | dict(gap=(reached - aim).abs().mean())

    def add(rule: str, end: dict[str, float], **more) -> None:
        rows.append(about | dict(rule=rule) | more | end)

    aim = found(fresh)
    add("gold", ends(fresh))
    add("nothing", ends(model))
    for method, i_f in (("lfssd", sensitivity(model, x)), ("ssd", fisher(model, x, y))):
        dial = Dial(model, i_f, full[method])
        choice = agreement.chosen(model, i_f, full[method], x, d.train_x, seed=each.seed)
        usual = default_alpha(method, model, full[method].samples, i_f.samples)
        tried = {alpha: ends(dial.at(alpha)) for alpha in (*choice.curve.alpha, choice.alpha, usual)}
        best = min(choice.curve.alpha, key=lambda alpha: tried[alpha]["gap"])
        for rule, alpha in (("agreement", choice.alpha), ("constant", usual), ("best", best)):
            add(rule, tried[alpha], method=method, scale=alpha / request.ceiling, aim=choice.aim)
    return rows


def run(jobs: Sequence[Request], d: Dataset, folder: Path) -> None:
    """Computes what the folder lacks, the importances of D once for each original."""
    todo = [each for each in jobs if record_files.wanted(folder, each, quiet=True)]
    print(f"{len(jobs)} requests on {len({(j.net, j.seed) for j in jobs})} networks, {len(todo)} to compute")
    for (net, seed), mine in groupby(progress(todo, "requests"), lambda each: (each.net, each.seed)):
        model = training.trained(d, *NETS[net], seed, show=False)
        full = {"lfssd": sensitivity(model, d.train_x), "ssd": fisher(model, d.train_x, d.train_y)}
        for each in mine:
            files.write_json(record_files.record(folder, each), judged(each, d, model, full))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two label files")
    parser.add_argument("--out", type=Path, default=RECORDS / "questions.csv")
    args, folder = parser.parse_args(), ROOT / "build" / "questions"
    d = load(args.data)
    jobs = planned(d.digest)
    run(jobs, d, folder)
    rows = [
        row for each in jobs for row in record_files.rows(record_files.record(folder, each), each.measured)
    ]
    found = pd.DataFrame(rows)
    first = ["network", "seed", "kind", "target", "n_forget", "n_test", "rule", "method"]
    found = found[[*first, "scale", "aim", "retained", "forgotten", "gap"]].fillna({"method": ""})
    found.round(4).to_csv(args.out, index=False)
    print(f"{len(found)} rows in {args.out}")


if __name__ == "__main__":
    main()
