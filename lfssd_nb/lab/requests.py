"""What is asked for on the command line: typed options as data, network, method, settings, forget set."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from .. import baselines, data, unlearn
from ..data import scenarios
from ..data.dataset import Dataset
from ..networks.architecture import NETWORKS, Architecture, Build, build, describe, suggested
from ..networks.recipes import Recipe, default_recipe
from ..system import device as devices
from ..system import named
from . import multiprocess

TARGETS = {"class": "3", "subclass": "8", "random": "30"}
CPU_EPOCHS = 2  # colour images on a CPU: a demonstration in minutes, not a good classifier


def data_of(args: argparse.Namespace) -> Dataset:
    """``--data``: a name that `data.load` knows, ``folder:PATH``, or ``module:function`` that returns a
    `Dataset`; with ``--subset``, and by super-class where ``--scenario`` asks for one."""
    device = devices.usable(devices.best() if args.device is None else args.device)
    if args.data_root is not None and Path(args.data_root).is_file():
        raise ValueError(f"--data-root {args.data_root!r} is a file: name the folder that it is in")
    kind, colon, rest = args.data.partition(":")
    if not colon:
        loaded = multiprocess.first_on_rank_0(lambda: data.load(args.data, args.data_root, device))
    elif kind == "folder":
        loaded = Dataset.from_folder(rest, device=device)
    else:
        function = named.load(args.data, "--data")
        named.check_call(function, f"--data {args.data!r}")
        loaded = _yours(function, f"--data {args.data!r}")
        if not isinstance(loaded, Dataset):
            raise ValueError(f"--data {args.data!r} must return a Dataset, got {type(loaded).__name__}")
        loaded = loaded.to(device)
    if args.subset is not None:
        loaded = loaded.subset(args.subset, args.seed)
    if args.scenario == "subclass" and loaded.train_sub is None:
        loaded = loaded.coarsen()
    return loaded


def _yours(function: Callable, what: str, *arguments):
    """What a function of the user's returns; if it raises anything, ``ValueError`` says so."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{what}: {type(error).__name__}: {error}; --debug shows where") from error


def network_of(args: argparse.Namespace, loaded: Dataset) -> Build:
    """``--model module:function``, or the network of ``--arch``, ``--width`` and ``--vit-size``; it has been
    tried that it can be built."""
    if args.model is None:
        suits = suggested(loaded).name if args.arch is None else args.arch
        network = Architecture(suits, args.width, args.vit_size)
        _check_size(network, loaded)
        return network
    for option in ("arch", "width", "vit_size"):
        if getattr(args, option) is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} belongs to the built-in networks; --model decides all"
            )
    network = named.load(args.model, "--model")
    _yours(build, f"--model {args.model!r}", network, loaded)
    return network


def _check_size(network: Architecture, loaded: Dataset) -> None:
    """Raises ``ValueError`` for a built-in network that cannot be trained in the device's memory: weights,
    gradients, the optimizer's memory and one more copy, in float32."""
    made = NETWORKS[network.name].build
    if not named.built_in(made):
        return
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):  # shapes without numbers
            model: nn.Module = made(loaded, network.width, network.size, False)
        needed = 16 * sum(p.numel() for p in model.parameters())
    except RuntimeError:  # more weights than 64 bits can count
        needed = math.inf
    if needed > (there := devices.memory(loaded.device)):
        raise ValueError(
            f"--width {network.width}: training {describe(network)['name']} of that width takes at least "
            f"{needed / 1e9:,.0f} GB, and {loaded.device} has {there / 1e9:,.0f} GB: choose a smaller one"
        )


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
    """``--option NAME=VALUE``: the value is JSON where it can be read as such, else a text. Raises
    ``ValueError`` for one that is malformed or given twice."""
    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--option {pair!r} must be NAME=VALUE, for instance epochs=3")
        if name in found:
            raise ValueError(f"--option {pair!r}: {name} is given twice, give it once")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def settings_of(method: str, given: dict, typed: dict) -> dict:
    """All options of a method; ``typed``: those of LFSSD and SSD, which have a place of their own on the
    command line. Raises ``ValueError`` for an unknown one, and a text where a number belongs."""
    defaults = {"scale": 0.4, "squared": True} if typed else baselines.get(method).defaults
    for name, value in given.items():
        if name in typed:
            raise ValueError(f"--option {name}={value}: give it as --{name.replace('_', '-')} {value}")
        kind, default = type(defaults.get(name)), defaults.get(name)
        if kind in (int, float) and not (type(value) in (int, float) and math.isfinite(value)):
            raise ValueError(f"--option {name}={value}: must be a number, like its default {default}")
        if kind is bool and type(value) is not bool:
            raise ValueError(f"--option {name}={value}: must be true or false")
    if typed and given.get("offload") is not None:
        devices.usable(given["offload"])
    if typed:
        unlearn.check(method, **typed, **{name: v for name, v in given.items() if name != "scale"})
    else:
        baselines.get(method).check(given)
    return typed | given


def check_fit(methods: list[str], loaded: Dataset, scenario: scenarios.Scenario) -> None:
    """Raises ``ValueError`` for a method that is not defined for such a forget set or such samples."""
    for name in methods:
        if name != "all" and not (method := baselines.get(name)).fits(loaded, scenario):
            kinds = f"--scenario {', '.join(method.kinds)}, not {scenario.kind}"
            why = "inputs that bear noise, not tokens" if scenario.kind in method.kinds else kinds
            raise ValueError(f"{name} is for {why}: choose another method")


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
