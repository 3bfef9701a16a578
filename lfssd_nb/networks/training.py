"""One way to train a classifier: one-cycle learning rate, seeded, on tensors; cached on disk."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.augment import augment
from ..data.dataset import Dataset
from ..system import files
from ..system.code import NotHashable, code_of
from ..system.device import autocast, threads, training_threads
from ..system.progress import progress
from . import architecture as networks
from . import state
from .architecture import Build, suggested
from .forward import check_inputs, not_finite
from .identity import identity
from .recipes import Recipe, default_recipe
from .resume import Halfway
from .seeds import training_seed

Callback = Callable[[int, float, nn.Module], None]


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    seed: int,
    show: bool = True,
    halfway: Halfway | None = None,
    callback: Callback | None = None,
) -> nn.Module:
    """Trains ``model`` in place on x ``[N, ...]``, y ``[N]`` and returns it in eval mode.

    ``halfway``: a file from which an interrupted training goes on, and to which this one writes.
    ``callback(epoch, loss, model)`` is called after each epoch (1, 2, ...) with its mean loss, for a logger
    of any kind; what it does to the random numbers and the mode of the model is undone.

    Order, augmentation and dropout depend on ``seed`` alone (shifted by `seeds`). A last batch of one sample,
    on which batch norm cannot train, is left out of that epoch. CPU runs repeat bit for bit, small samples
    whatever torch's number of threads (see `device.training_threads`).
    Raises ``ValueError`` for fewer than two samples or what is no tensor, and ``FloatingPointError`` if the
    loss, a parameter or a buffer is not finite after an epoch.
    """
    check_inputs("x", x)
    check_inputs("y", y)
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
    layout = memory_format(model) if x.dim() == 4 else torch.contiguous_format
    model.train().to(memory_format=layout)
    network = torch.compile(model, dynamic=False) if recipe.compiled else model
    parts = model, optimizer, schedule, generator
    masks = not_finite(model)
    with threads(training_threads(x)), _seeded(seed, x.device):
        done = halfway.take_up(*parts) if halfway else 0
        for epoch in progress(range(done, recipe.epochs), f"training on {len(x)} samples", show):
            order, total = torch.randperm(len(x), generator=generator).to(x.device), 0.0
            for chosen in order.split(recipe.batch_size)[: len(sizes)]:
                batch = augment(x[chosen], recipe.augmentation, generator)
                whole = len(chosen) == recipe.batch_size  # another shape would be compiled anew
                with autocast(x.device, recipe.bfloat16):
                    logits = (network if whole else model)(batch.contiguous(memory_format=layout))
                if not isinstance(logits, Tensor):
                    kind = type(logits).__name__
                    raise ValueError(f"in training the network returns a {kind}: logits alone are needed")
                loss = F.cross_entropy(logits.float(), y[chosen], label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                if callback:
                    total = total + loss.detach() * len(chosen)
            _check_trained(model, masks, loss, x, recipe.lr)
            if halfway and epoch + 1 < recipe.epochs:
                halfway.keep(epoch + 1, *parts)
            if callback:
                with torch.random.fork_rng():
                    callback(epoch + 1, float(total) / sum(sizes), model)
                model.train()
    return model.to(memory_format=torch.contiguous_format).eval()


def _check_trained(model: nn.Module, masks: list[str], loss: Tensor, x: Tensor, lr: float) -> None:
    """The loss does not see the last step: that is seen in the weights and statistics."""
    broken = not_finite(model, masks)
    if broken or not torch.isfinite(loss):
        where = f", {broken[0]} is not finite" if broken else ""
        sound = torch.isfinite(x).all()
        remedy = f"lower lr={lr}" if sound else "the samples have NaN or infinite numbers, drop or fill them"
        raise FloatingPointError(f"training diverged (loss {loss.item()}{where}): {remedy}")


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """What dropout and others draw depends on the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(training_seed(seed))
        yield


def memory_format(model: nn.Module) -> torch.memory_format:
    """channels_last for convolutional nets: 20 to 30 % faster on CPU, more on a GPU.

    Not for channel counts that are no multiple of 16: there the backward pass of channels_last convolutions
    wrote past its buffers on a CPU (torch 2.15, width 4: "free(): invalid size"; torch 2.14, width 8, one
    channel of 64x64: segmentation fault).
    """
    out = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    helps = len(out) > 1 and all(channels % 16 == 0 for channels in out)
    return torch.channels_last if helps else torch.contiguous_format


CODE = code_of(fit)  # as it is written, whatever a test puts in its place


def trained(
    data: Dataset,
    architecture: Build | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    index: Tensor | None = None,
    show: bool = True,
    must_cache: bool = False,
    *,
    build: Callable[[Dataset], nn.Module] | None = None,
    callback: Callback | None = None,
) -> nn.Module:
    """A model trained on ``data.train_x[index]`` (default: all of D), from the cache if it is there.

    ``architecture``: an `Architecture`, or a function of your own, also as ``build=``, that makes a network
    for a data set (it sees all of D, D_f included: statistics that it takes reach gold models).
    ``callback``: see `fit`; it is not called for a model from the cache.

    The cache key is a hash of the very training tensors, the architecture, the recipe, the seed,
    the kind of device and the code (`identity`), so that a changed input is never served from an old file.
    A damaged file is trained again and replaced; if it cannot be written, a warning says so, or
    with ``must_cache`` an ``OSError``. An interrupted training goes on where it stood (`resume`). A network
    of your own that cannot be hashed is trained without the cache, and a warning says so.
    """
    architecture = chosen(data, architecture, build)
    recipe = recipe or default_recipe(data, architecture)
    x, y = _samples(data, index)
    model = networks.build(architecture, data, seed)
    try:
        about, path = identity(data, x, y, architecture, recipe, seed, CODE, model)
    except NotHashable as error:
        warnings.warn(f"trained without the cache: {error}", stacklevel=2)
        return fit(model, x, y, recipe, seed, show, None, callback)
    halfway = Halfway(path.with_suffix(".halfway"))
    with suppress(FileNotFoundError, files.CorruptFile):
        state.load(model, files.load(path, data.device)[0], path)
        halfway.done()  # another process may have been at it, too
        return model.eval()
    fit(model, x, y, recipe, seed, show, halfway, callback)
    about["seconds"] = round(halfway.spent, 3)
    try:
        files.save(path, model.state_dict(), about)
        halfway.done()
    except OSError as error:  # a full disk must not cost the training
        if must_cache:
            raise
        warnings.warn(f"the trained model was not cached: {error}", stacklevel=2)
    return model


def chosen(data: Dataset, architecture: Build | None, build: Callable[[Dataset], nn.Module] | None) -> Build:
    """One of the two, or what suits the data. Raises ``ValueError`` for both."""
    if build is not None and architecture is not None:
        raise ValueError(f"give an architecture or build=, not both (got {architecture!r} and {build!r})")
    return build or architecture or suggested(data)


def training_seconds(
    data: Dataset,
    architecture: Build,
    recipe: Recipe | None = None,
    seed: int = 0,
    index: Tensor | None = None,
) -> float:
    """How long training took when the cached model was made; NaN if it is not in the cache."""
    recipe = recipe or default_recipe(data, architecture)
    with suppress(FileNotFoundError, files.CorruptFile, NotHashable, KeyError):
        x, y = _samples(data, index)
        return files.load(identity(data, x, y, architecture, recipe, seed, CODE)[1])[1]["seconds"]
    return float("nan")


def _samples(data: Dataset, index: Tensor | None) -> tuple[Tensor, Tensor]:
    return (data.train_x, data.train_y) if index is None else (data.train_x[index], data.train_y[index])
