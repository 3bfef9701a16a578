"""What decides a trained model, as a hash: the name of its file in the cache.

Hashed are the training tensors, the recipe, the seed, the kind of device, and code (`system.code`): what
trains, and what builds the network, with all of the package's and your own code that they refer to; of a
network of your own its initial weights, too. Neither the names of files nor comments count.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..system import files, places
from ..system.code import NotHashable, code_of
from ..system.device import training_threads
from .architecture import NETWORKS, Architecture, Build, build, describe
from .recipes import Recipe
from .seeds import training_seed


def cache_root() -> Path:
    """``$LFSSD_CACHE``, else the user's cache folder, see `places.folder`."""
    return places.folder("LFSSD_CACHE")


def identity(
    data: Dataset,
    x: Tensor,
    y: Tensor,
    architecture: Build,
    recipe: Recipe,
    seed: int,
    code: str,
    model: nn.Module | None = None,
) -> tuple[dict, Path]:
    """What decides the weights of a trained model, and the cache file named by its hash. ``code``: `code_of`
    what trains it. ``model``: the untrained network, if it is built already.

    Raises `NotHashable` for a network of your own that uses what cannot be hashed, or that is not the same
    each time it is built.
    """
    shape = describe(architecture)
    if isinstance(architecture, Architecture):
        code += registered(architecture.name)
    else:
        shape["code"], shape["weights"] = own_network(architecture, data, seed, model)
    about = dict(
        data=data.name, images=files.digest({"x": x, "y": y}), classes=len(data.classes),
        seed=training_seed(seed), architecture=shape, recipe=asdict(recipe),
        device=data.device.type, threads=training_threads(x), code=code, torch=torch.__version__,
    )  # fmt: skip
    key = files.digest({}, repr(sorted(about.items())))[:20]
    names = ("".join(c for c in part if c.isalnum() or c in "-_ ") for part in (data.name, shape["name"]))
    name = f"{'-'.join(names)}-{training_seed(seed)}-{key}.safetensors"
    return about, cache_root() / "models" / name


def registered(name: str) -> str:
    """The hash of a registered network's code."""
    return code_of(NETWORKS[name].build)


def own_network(
    function: Callable, data: Dataset, seed: int, model: nn.Module | None = None
) -> tuple[str, str]:
    """Hashes of a network of your own: of its code, and of its initial weights and structure. ``model``: one
    that it has built with this seed.

    Raises `NotHashable` for one that is not the same each time, and ``ValueError`` for a function that hands
    out one and the same object: a gold model has to start anew.
    """
    name = describe(function)["name"]
    models = [build(function, data, seed) if model is None else model, build(function, data, seed)]
    if models[0] is models[1]:
        raise ValueError(
            f"{name} returns the same network each time: gold models need fresh ones, so create it inside"
        )
    weights = [_initial(model) for model in models]
    if weights[0] != weights[1]:
        raise NotHashable(
            f"{name} builds another network each time, though torch's seed is the same: draw with torch"
        )
    return code_of(function, *dict.fromkeys(type(part) for part in models[0].modules())), weights[0]


def _initial(model: nn.Module) -> str:
    return files.digest(dict(model.state_dict()), str(model))
