"""One way to train a classifier: one-cycle learning rate, seeded, on tensors; cached on disk."""

import ast
import os
import warnings
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import models, store
from .augment import augment
from .data import Dataset
from .device import autocast, threads, training_threads
from .halfway import Halfway
from .models import Architecture
from .progress import progress
from .recipes import Recipe, default_recipe
from .seeds import training_seed

# What a cached model depends on.
CODE = ("augment", "device", "halfway", "models", "resnet", "seeds", "training", "vit")


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    seed: int,
    show: bool = True,
    halfway: Halfway | None = None,
) -> nn.Module:
    """Trains ``model`` in place on x ``[N, C, H, W]``, y ``[N]`` and returns it in eval mode.

    ``halfway``: a file from which an interrupted training goes on, and to which this one writes.

    Order and augmentation depend on ``seed`` alone (shifted by `seeds`). A last batch of one sample, on
    which batch norm cannot train, is left out of that epoch. CPU runs repeat bit for bit, small samples
    whatever torch's number of threads (see `device.training_threads`).
    Raises ``ValueError`` for fewer than two samples and ``FloatingPointError`` if it diverges.
    """
    if len(x) < 2:
        raise ValueError(f"training needs at least two samples, got {len(x)}")
    generator = torch.Generator().manual_seed(training_seed(seed))
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            model.parameters(), recipe.lr, 0.9, weight_decay=recipe.weight_decay, nesterov=True
        )
    else:
        optimizer = torch.optim.AdamW(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    sizes = [size for size in map(len, torch.arange(len(x)).split(recipe.batch_size)) if size > 1]
    total_steps = max(5, recipe.epochs * len(sizes))  # OneCycleLR divides by 0 on four steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=total_steps, pct_start=0.25
    )
    layout = memory_format(model)
    model.train().to(memory_format=layout)
    network = torch.compile(model, dynamic=False) if recipe.compiled else model
    parts = model, optimizer, schedule, generator
    done = halfway.take_up(*parts) if halfway else 0
    with threads(training_threads(x)):
        for epoch in progress(range(done, recipe.epochs), f"training on {len(x)} images", show):
            order = torch.randperm(len(x), generator=generator).to(x.device)
            for chosen in order.split(recipe.batch_size)[: len(sizes)]:
                batch = augment(x[chosen], recipe.augmentation, generator)
                whole = len(chosen) == recipe.batch_size  # another shape would be compiled anew
                with autocast(x.device, recipe.bfloat16):
                    logits = (network if whole else model)(batch.contiguous(memory_format=layout))
                loss = F.cross_entropy(logits.float(), y[chosen], label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if not torch.isfinite(loss):
                raise FloatingPointError(f"training diverged (loss {loss.item()}): lower lr={recipe.lr}")
            if halfway and epoch + 1 < recipe.epochs:
                halfway.keep(epoch + 1, *parts)
    return model.to(memory_format=torch.contiguous_format).eval()


def memory_format(model: nn.Module) -> torch.memory_format:
    """channels_last for convolutional nets: 20 to 30 % faster on CPU, more on a GPU.

    Not for channel counts that are no multiple of 16: there the backward pass of channels_last convolutions
    wrote past its buffers on a CPU (torch 2.15, width 4: "free(): invalid size"; torch 2.14, width 8, one
    channel of 64x64: segmentation fault).
    """
    out = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    helps = len(out) > 1 and all(channels % 16 == 0 for channels in out)
    return torch.channels_last if helps else torch.contiguous_format


def cache_root() -> Path:
    """``$LFSSD_CACHE``, else ``~/.cache/lfssd_nb``."""
    return Path(os.environ.get("LFSSD_CACHE") or Path.home() / ".cache" / "lfssd_nb").expanduser()


def _essence(source: str) -> str:
    """What a source file does: its syntax tree without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [
                part for part in node.body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]  # fmt: skip
    return ast.dump(tree)


@cache
def _code_version() -> str:
    """Hash of the code that decides what a trained model is, and of torch's version."""
    here = Path(__file__).parent
    code = "".join(_essence((here / f"{name}.py").read_text()) for name in CODE)
    return sha256((code + torch.__version__).encode()).hexdigest()


def trained(
    data: Dataset,
    architecture: Architecture,
    recipe: Recipe | None = None,
    seed: int = 0,
    index: Tensor | None = None,
    show: bool = True,
    must_cache: bool = False,
) -> nn.Module:
    """A model trained on ``data.train_x[index]`` (default: all of D), from the cache if it is there.

    The cache key is a hash of the very training tensors, the architecture, the recipe, the seed,
    the kind of device and the code, so that a changed input is never served from an old file. A
    damaged file is trained again and replaced; if it cannot be written, a warning says so, or
    with ``must_cache`` an ``OSError``. An interrupted training goes on where it stood (`halfway`).
    """
    recipe = recipe or default_recipe(data, architecture)
    x, y = _samples(data, index)
    about, path = _identity(data, x, y, architecture, recipe, seed)
    model = models.build(architecture, data, seed)
    halfway = Halfway(path.with_suffix(".halfway"))
    with suppress(FileNotFoundError, store.CorruptFile):
        model.load_state_dict(store.load(path, data.device)[0])
        halfway.done()  # another process may have been at it, too
        return model.eval()
    fit(model, x, y, recipe, seed, show, halfway)
    about["seconds"] = round(halfway.spent, 3)
    try:
        store.save(path, model.state_dict(), about)
        halfway.done()
    except OSError as error:  # a full disk must not cost the training
        if must_cache:
            raise
        warnings.warn(f"the trained model was not cached: {error}", stacklevel=2)
    return model


def training_seconds(
    data: Dataset,
    architecture: Architecture,
    recipe: Recipe | None = None,
    seed: int = 0,
    index: Tensor | None = None,
) -> float:
    """How long training took when the cached model was made; NaN if it is not in the cache."""
    recipe = recipe or default_recipe(data, architecture)
    with suppress(FileNotFoundError, store.CorruptFile):
        x, y = _samples(data, index)
        return store.load(_identity(data, x, y, architecture, recipe, seed)[1])[1]["seconds"]
    return float("nan")


def _samples(data: Dataset, index: Tensor | None) -> tuple[Tensor, Tensor]:
    return (data.train_x, data.train_y) if index is None else (data.train_x[index], data.train_y[index])


def _identity(data, x, y, architecture, recipe, seed) -> tuple[dict, Path]:
    """What decides the trained weights, and the cache file named by its hash."""
    about = dict(
        data=data.name, images=store.digest({"x": x, "y": y}), classes=len(data.classes),
        seed=training_seed(seed), architecture=asdict(architecture), recipe=asdict(recipe),
        device=data.device.type, threads=training_threads(x), code=_code_version(),
    )  # fmt: skip
    key = store.digest({}, repr(sorted(about.items())))[:20]
    name = f"{data.name}-{architecture.name}-{training_seed(seed)}-{key}.safetensors"
    return about, cache_root() / "models" / name
