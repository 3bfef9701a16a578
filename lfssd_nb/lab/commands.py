"""The commands ``forget`` and ``compare``: from typed options to a result."""

import argparse
import json
import math
import sys
from dataclasses import asdict

import pandas as pd

from .. import __version__, baselines, data, unlearn
from ..data import scenarios
from ..data.dataset import Dataset
from ..networks.architecture import Architecture, Build, describe, suggested
from ..networks.recipes import Recipe, default_recipe
from ..system import device as devices
from ..system import named
from . import multiprocess
from .comparison import compare as compared
from .comparison import over_seeds

TARGETS = {"class": "3", "subclass": "8", "random": "30"}
CPU_EPOCHS = 2  # colour images on a CPU: a demonstration in minutes, not a good classifier


def data_of(args: argparse.Namespace) -> Dataset:
    """``--data``: a name that `data.load` knows, ``folder:PATH``, or ``module:function`` that returns a
    `Dataset`; with ``--subset``, and by super-class where ``--scenario`` asks for one."""
    kind, _, rest = args.data.partition(":")
    if not rest:
        loaded = multiprocess.first_on_rank_0(lambda: data.load(args.data, args.data_root, args.device))
    else:
        device = devices.usable(args.device or devices.best())
        if kind == "folder":
            loaded = Dataset.from_folder(rest, device=device)
        else:
            function = named.load(args.data, "--data")
            named.check_call(function, f"--data {args.data!r}")
            loaded = function()
            if not isinstance(loaded, Dataset):
                raise ValueError(f"--data {args.data!r} must return a Dataset, got {type(loaded).__name__}")
            loaded = loaded.to(device)
    if args.subset is not None:
        loaded = loaded.subset(args.subset, args.seed)
    if args.scenario == "subclass" and loaded.train_sub is None:
        loaded = loaded.coarsen()
    return loaded


def network_of(args: argparse.Namespace, loaded: Dataset) -> Build:
    """``--model module:function``, or the network of ``--arch``, ``--width`` and ``--vit-size``."""
    if args.model is None:
        suits = suggested(loaded).name if args.arch is None else args.arch
        return Architecture(suits, args.width, args.vit_size)
    for option in ("arch", "width", "vit_size"):
        if getattr(args, option) is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} belongs to the built-in networks; --model decides all"
            )
    return named.load(args.model, "--model")


def method_of(name: str) -> str:
    """A registered method by its name, or ``module:function`` where the module registers it."""
    if ":" not in name:
        return baselines.get(name).name
    function = named.load(name, "--method")
    known = {m.run: m.name for m in baselines.METHODS.values()}
    if function not in known:
        raise ValueError(f"--method {name!r} is not registered: decorate it with @baselines.method(...)")
    return known[function]


def options_of(pairs: list[str] | None) -> dict:
    """``--option NAME=VALUE``: the value is JSON where it can be read as such, else a text."""
    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--option {pair!r} must be NAME=VALUE, for instance epochs=3")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def recipe_of(args: argparse.Namespace, loaded: Dataset, network: Build) -> Recipe:
    epochs = args.epochs
    if epochs is None and args.model is None and loaded.device.type == "cpu" and _in_colour(loaded):
        epochs = CPU_EPOCHS
        if multiprocess.ranks()[0] == 0:
            print(f"training for {epochs} epochs because this is a CPU; --epochs changes it", file=sys.stderr)
    return default_recipe(loaded, network, epochs)


def _in_colour(loaded: Dataset) -> bool:
    return loaded.train_x.dim() == 4 and loaded.train_x.shape[1] == 3


def scenario_of(args: argparse.Namespace, loaded: Dataset) -> scenarios.Scenario:
    if args.target is None and args.scenario in scenarios.KINDS and args.scenario not in TARGETS:
        raise ValueError(f"--scenario {args.scenario} needs a --target")
    target = TARGETS.get(args.scenario) if args.target is None else args.target
    return scenarios.make(loaded, args.scenario, target, args.seed)


def forget(args: argparse.Namespace) -> dict:
    """The ``forget`` command: original, unlearned and gold model, measured; see the README."""
    method = method_of(args.method)
    batch_size = 64 if args.batch_size is None and args.reduction == "batch" else args.batch_size
    options = dict(alpha=args.alpha, lam=args.lam, reduction=args.reduction, batch_size=batch_size)
    dampens = method in unlearn.METHODS
    if dampens:
        unlearn.check(method, **options)
    elif odd := [k for k, v in (("alpha", None), ("lam", 1.0), ("reduction", "sample"), ("batch_size", None))
                 if getattr(args, k) != v]:  # fmt: skip
        whose = " and ".join(unlearn.METHODS)
        raise ValueError(
            f"--{odd[0].replace('_', '-')} belongs to {whose}; {method} takes --option NAME=VALUE"
        )
    options = options | options_of(args.option) if dampens else options_of(args.option)
    if not dampens:
        baselines.get(method).check(options)
    loaded, processes = data_of(args), multiprocess.ranks()[1]
    network = network_of(args, loaded)
    scenario = scenario_of(args, loaded)
    recipe = recipe_of(args, loaded, network)
    methods, gold, share = {method: options}, not args.no_gold, processes > 1
    done = compared(loaded, scenario, network, methods, args.seed, recipe, gold, share)
    measured = {
        name.replace(method, "unlearned"): {k: None if math.isnan(v) else round(v, 4) for k, v in row.items()}
        for name, row in done.table.to_dict("index").items()
    }
    result = measured | {"seconds": {k.replace(method, "unlearn"): v for k, v in done.seconds.items()}}
    settings = dict(
        data=loaded.name, source=loaded.source, scenario=scenario.kind, target=scenario.target,
        n_forget=len(scenario.forget), n_train=len(loaded.train_y), architecture=describe(network),
        recipe=asdict(recipe), method=method,
    )  # fmt: skip
    if dampens:
        unlearned = done.unlearned[method]
        result |= dict(
            selected_share=unlearned.selected_share, largest_ratio=round(unlearned.largest_ratio, 4)
        )
        settings |= dict(
            alpha=unlearned.alpha, lam=args.lam, alpha_ceiling=scenario.ceiling, reduction=args.reduction,
            batch_size=batch_size,
        )  # fmt: skip
    else:
        settings |= dict(options=baselines.get(method).defaults | options)
    settings |= dict(seed=args.seed, device=str(loaded.device), version=__version__)
    return result | {"settings": settings}


def compare(args: argparse.Namespace) -> pd.DataFrame:
    """The ``compare`` command: the table of `comparison.over_seeds`, models in rows, ``mean ± half``."""
    if multiprocess.ranks()[1] > 1:
        raise ValueError("compare runs in one process: leave torchrun out")
    methods = [name if name == "all" else method_of(name) for name in args.methods]
    loaded = data_of(args)
    network = network_of(args, loaded)
    scenario, recipe = scenario_of(args, loaded), recipe_of(args, loaded, network)
    return over_seeds(loaded, scenario, network, methods, args.seeds, recipe)


def wide(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, one column for each metric: ``mean ± half``, without the half for one seed."""
    text = [
        "–" if math.isnan(mean) else f"{mean:.2f}" + ("" if math.isnan(half) else f" ± {half:.2f}")
        for mean, half in zip(found["mean"], found["half"], strict=True)
    ]
    table = found.assign(text=text).pivot(index="model", columns="metric", values="text")
    return table.loc[list(dict.fromkeys(found["model"])), list(dict.fromkeys(found["metric"]))]
