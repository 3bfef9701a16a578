"""The published experiments as data: `STAGES`, at the scale of a `Profile`, as runs.

>>> job = Job(STAGES[0], PROFILES["paper"], "cuda")
>>> table = records.run(runs(job, tuned={"lfssd": 0.4}), "records")

Settings and classes: the reference code of SSD (github if-loops/selective-synaptic-dampening) and, for
LFSSD, its transcription in pedroandreou/supreme-unlearning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..baselines import METHODS
from ..lab.cases import Case, Run
from ..lab.tuning import Tuning
from ..lab.tuning import scales as tuned_scales
from ..networks.architecture import Architecture
from ..networks.recipes import Recipe
from ..system.device import fast_bfloat16
from .sizes import Profile

FINE = ("69", "51", "2", "40", "71")  # rocket, mushroom, baby, lamp, sea
COARSE = ("19", "4", "14", "5", "10")  # vehicles 2, fruit and vegetables, people, devices, natural scenes
PINS = ("1", "10", "20", "30", "40")


@dataclass(frozen=True)
class Stage:
    """One data set and scenario on one network. ``ssd``, ``lfssd``: the published alpha (None: there is
    none); ``lam``: the published lambda. ``validation``: targets to tune on, none of them in ``targets``."""

    data: str
    kind: str
    network: str
    targets: tuple[str, ...]
    validation: tuple[str, ...]
    ssd: float | None
    lfssd: float | None
    lam: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.data}-{self.kind}-{self.network}"


_FINE = dict(targets=FINE, validation=("9", "30", "90"))
_COARSE = dict(targets=COARSE, validation=("0", "7", "18"))
_RANDOM = dict(targets=("{n}@0", "{n}@1", "{n}@2"), validation=("{n}@7", "{n}@8", "{n}@9"))
STAGES = (
    Stage("cifar100", "class", "resnet18", **_FINE, ssd=10, lfssd=10),
    Stage("cifar20", "class", "resnet18", **_COARSE, ssd=10, lfssd=5),
    Stage("cifar20", "subclass", "resnet18", **_FINE, ssd=10, lfssd=10),
    Stage("cifar10", "random", "resnet18", **_RANDOM, ssd=10, lfssd=3.5),
    Stage("pins", "class", "resnet18", PINS, ("5", "15", "25"), ssd=50, lfssd=None, lam=0.1),
    Stage("olivetti", "class", "resnet18", ("1", "10", "20", "30", "39"), ("5", "15", "25"), 50, None, 0.1),
    Stage("cifar100", "class", "vit", **_FINE, ssd=5, lfssd=10),
    Stage("cifar20", "class", "vit", **_COARSE, ssd=5, lfssd=5),
    Stage("cifar20", "subclass", "vit", **_FINE, ssd=25, lfssd=10),
    Stage("cifar10", "random", "vit", **_RANDOM, ssd=10, lfssd=3.5),
)
# A replication of class forgetting (UnAct, 2610.04426): alpha, lambda, batch, picked by comparing with gold.
REPLICATED = {
    "cifar10": {"lfssd": (6.0, 0.1, 64), "ssd": (8.0, 1.0, 256)},
    "cifar20": {"lfssd": (10.0, 0.1, 64), "ssd": (15.0, 1.0, 512)},
    "cifar100": {"lfssd": (30.0, 0.5, 64), "ssd": (50.0, 0.5, 64)},
}
# Not among the papers' experiments, but the replication's.
EXTRA = (Stage("cifar10", "class", "resnet18", ("0", "1", "2", "3", "4"), ("5", "7", "9"), None, None),)
LIMITS = {"fisher_forgetting": {"n_samples": 1000}}  # it passes over D_r once for each class


@dataclass(frozen=True)
class Job:
    """A stage at the scale of a profile on a device, with training compiled or not."""

    stage: Stage
    profile: Profile
    device: str = "cpu"
    compiled: bool = False

    @property
    def architecture(self) -> Architecture:
        if self.stage.network == "vit":
            return Architecture("vit", size=self.profile.vit)
        return Architecture("resnet18", self.profile.width)

    @property
    def recipe(self) -> Recipe:
        """In bfloat16 where the device is fast at it; but no ViT on a CPU, which converts its small matrices
        for longer than it saves on them (measured: 800 images a second against 1050 in float32)."""
        fast = fast_bfloat16(torch.device(self.device))
        fast = fast and (self.stage.network != "vit" or self.device != "cpu")
        return replace(self.profile.recipe(self.stage), bfloat16=fast, compiled=self.compiled)

    def case(self, target: str, seed: int) -> Case:
        """One target, given as in `Stage`, and one training seed."""
        images = self.profile.images if self.stage.data.startswith("cifar") else None
        target = target.format(n=self.profile.n_random)
        return Case(
            self.stage.data, self.architecture, self.stage.kind, target, seed, self.profile.seeds, images,
            self.recipe, self.device,
        )  # fmt: skip

    def cases(self) -> list[Case]:
        targets = self.stage.targets[: self.profile.n_targets.get(self.stage.name)]
        return [self.case(target, seed) for seed in self.profile.seeds for target in targets]

    def tunings(self) -> list[Tuning]:
        """First the original of the first seed on the stage's validation targets, for one alpha' a stage;
        then each original on the targets themselves, for one alpha' a case."""
        validation = [self.case(target, self.profile.seeds[0]) for target in self.stage.validation]
        own = [[case for case in self.cases() if case.seed == seed] for seed in self.profile.seeds]
        return [Tuning(tuple(cases)) for cases in (validation, *own)]


_AS_CODED = dict(reduction="batch", order="reference")


def published(stage: Stage, method: str) -> dict | None:
    """The published settings of ``"ssd"`` or ``"lfssd"`` as the drivers of the reference code run them: means
    of batches of D_f and of D, of 64 (of 128 for a random forget set), D_f at the end of D. None where there
    are none."""
    alpha = getattr(stage, method)
    if alpha is None:
        return None
    return (
        dict(alpha=float(alpha), lam=stage.lam, batch_size=128 if stage.kind == "random" else 64) | _AS_CODED
    )


def published_settings(method: str, network: str, kind: str, data: str = "cifar20") -> dict:
    """`published` by name, for data that was not published: the settings of ``"ssd"`` or ``"lfssd"`` on a
    network (``"resnet18"``, ``"vit"``) for a kind of scenario. Of the class scenarios take that of ``data``.

    Raises ``ValueError`` where there are none.
    """
    for stage in STAGES:
        at = (stage.network, stage.kind) == (network, kind) and (kind != "class" or stage.data == data)
        if at and method in ("ssd", "lfssd") and (settings := published(stage, method)):
            return settings
    raise ValueError(
        f"no published settings of {method!r} for {network!r}, {kind!r} and {data!r}: choose 'ssd' or "
        f"'lfssd', and one of {', '.join(stage.name for stage in STAGES)}"
    )


def replicated(stage: Stage, method: str) -> dict | None:
    """The settings of `REPLICATED` for a class and a ResNet18, else None."""
    if stage.kind != "class" or stage.network != "resnet18" or stage.data not in REPLICATED:
        return None
    alpha, lam, batch_size = REPLICATED[stage.data][method]
    return dict(alpha=alpha, lam=lam, batch_size=batch_size) | _AS_CODED


def runs(
    job: Job,
    tuned: dict[str, float],
    searched: dict[Case, dict[str, float]] | None = None,
    methods: Sequence[str] | None = None,
) -> list[Run]:
    """The runs of a job, case by case. ``tuned``: an alpha' for ``"ssd"`` and ``"lfssd"`` (`tuning.best`),
    ``searched``: the same for each case; ``methods``: only these."""
    found = []
    for case in job.cases():
        own = (searched or {}).get(case, {})
        entries = [("nothing", "", {}), ("retrain", "", {})]
        for name in ("lfssd", "ssd"):
            if settings := published(job.stage, name):
                entries.append((name, "published", settings))
            if job.profile.replication and (settings := replicated(job.stage, name)):
                entries.append((name, "replication", settings))
            for variant, scales in (("tuned", tuned), ("searched", own)):
                if name in scales:
                    entries.append((name, variant, {"scale": scales[name]}))
            entries.append((name, "default", {}))
        entries += [(name, "default", {}) for name in ("assd", "assd_code", "xalfssd", "xalfssd_code")]
        if case.seed in job.profile.seeds[: job.profile.baseline_seeds]:
            fitting = [name for name in job.profile.baselines if case.kind in METHODS[name].kinds]
            entries += [(name, "published", LIMITS.get(name, {})) for name in fitting]
        found += [Run(case, *each) for each in entries if methods is None or each[0] in methods]
    return found


def tunings_of(job: Job, methods: Sequence[str] | None) -> list[Tuning]:
    """Those of the job (none where no method has anything to tune)."""
    return job.tunings() if methods is None or {"lfssd", "ssd"} & {*methods} else []


def runs_of(job: Job, methods: Sequence[str] | None, folder: Path) -> list[Run]:
    """All runs of a job (None: of all methods), with alpha' = 0 where it is not tuned yet, of which there is
    no record."""
    (tuned, _), *own = [tuned_scales(each, folder) for each in tunings_of(job, methods)] or [({}, {})]
    searched = {case: scales for _, cases in own for case, scales in cases.items()}
    return runs(job, tuned, searched, methods)
