"""The scales at which the published experiments run: `PROFILES`, each a `Profile`."""

from dataclasses import dataclass, replace

from ..data.augment import Augmentation
from ..networks.recipes import FACES, Recipe

BASELINES = (
    "finetune", "gradient_ascent", "neggrad_plus", "random_labels", "bad_teacher", "unsir", "scrub", "salun",
    "l1_sparse", "fisher_forgetting", "jit", "jit_code", "class_mask", "random_weights",
)  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """A scale to run at. ``images``: of the 50,000 (None: all); ``n_random``: how many to forget of them.
    ``n_targets``: of a stage, by its name (default: all). ``baselines`` run on the first ``baseline_seeds``
    of ``seeds``. ``replication``: also with the settings of `REPLICATED`. ``recipes``: by data and network;
    ``("*", "scratch")`` is that of a ViT whose ImageNet weights cannot be had.
    """

    width: int
    vit: str
    images: int | None
    n_random: int
    recipes: dict[tuple[str, str], Recipe]
    n_targets: dict[str, int]
    seeds: tuple[int, ...] = (0, 1, 2)
    baselines: tuple[str, ...] = BASELINES
    baseline_seeds: int = 3
    replication: bool = False

    def recipe(self, stage) -> Recipe:
        """How to train on the data of an `published.Stage`; ``("*", network)`` where it is not named."""
        return self.recipes.get((stage.data, stage.network)) or self.recipes["*", stage.network]


CROP = Augmentation(shift=4, flip=True)
# One-cycle in place of the 20 to 200 epochs of step decay of the reference code (scripts/on_gpu.py: recipes).
_RESNET = Recipe(24, 0.4, 512, 1e-3, augmentation=CROP)
PRETRAINED = Recipe(8, 1e-4, 64, 0.05, "adamw", augmentation=CROP)  # 8, 9, 8 epochs on CIFAR-10, 20, 100
SCRATCH = Recipe(60, 1e-3, 128, 0.05, "adamw", augmentation=CROP)
PROFILES = {
    "paper": Profile(
        64, "vit_b_16", None, 100,
        {
            ("*", "resnet18"): _RESNET, ("olivetti", "resnet18"): FACES,
            ("*", "vit"): PRETRAINED, ("cifar20", "vit"): replace(PRETRAINED, epochs=9),
            ("*", "scratch"): SCRATCH,
        },
        {},
        replication=True,
    ),
    "small": Profile(
        16, "tiny", 10_000, 20,
        {
            ("*", "resnet18"): Recipe(8, 0.1, 64, 5e-4, augmentation=CROP),
            ("olivetti", "resnet18"): FACES,
            ("*", "vit"): Recipe(10, 1e-3, 64, 0.05, "adamw", augmentation=CROP),
        },
        {
            "cifar20-class-resnet18": 2, "cifar20-subclass-resnet18": 2, "cifar10-random-resnet18": 1,
            "olivetti-class-resnet18": 2, "cifar100-class-vit": 1, "cifar20-class-vit": 1,
            "cifar20-subclass-vit": 1, "cifar10-random-vit": 1,
        },
        baselines=("finetune", "random_labels", "jit", "class_mask"),
        baseline_seeds=1,
    ),
    "night": Profile(  # all images of one class of `EXTRA`, at half the width, in a night of two CPU cores
        32, "tiny", None, 100, {("*", "resnet18"): Recipe(20, 0.1, 128, 1e-3, augmentation=CROP)},
        {"cifar10-class-resnet18": 1},
        seeds=(0, 1),
        baselines=("finetune", "random_labels", "jit", "class_mask"),
        baseline_seeds=1,
        replication=True,
    ),
}  # fmt: skip
