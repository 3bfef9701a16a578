"""The commands ``forget`` and ``compare``: from typed options to a result."""

import argparse
import math
from dataclasses import asdict

import pandas as pd

from .. import __version__, baselines, unlearn
from ..networks.architecture import describe
from . import multiprocess
from .comparison import compare as compared
from .comparison import over_seeds
from .requests import (
    check_fit,
    data_of,
    method_of,
    network_of,
    options_of,
    recipe_of,
    scenario_of,
    settings_of,
)


def forget(args: argparse.Namespace) -> dict:
    """The ``forget`` command: original, unlearned and gold model, measured; see the README."""
    method = method_of(args.method)
    batch_size = 64 if args.batch_size is None and args.reduction == "batch" else args.batch_size
    options = dict(alpha=args.alpha, lam=args.lam, reduction=args.reduction, batch_size=batch_size)
    dampens = method in unlearn.METHODS
    usual = dict(alpha=None, lam=1.0, reduction="sample", batch_size=None)
    if not dampens and (odd := [name for name, value in usual.items() if getattr(args, name) != value]):
        whose = " and ".join(unlearn.METHODS)
        raise ValueError(
            f"--{odd[0].replace('_', '-')} belongs to {whose}; {method} takes --option NAME=VALUE"
        )
    options = settings_of(method, options_of(args.option), options if dampens else {})
    loaded, processes = data_of(args), multiprocess.ranks()[1]
    network = network_of(args, loaded)
    scenario = scenario_of(args, loaded)
    check_fit([method], loaded, scenario)
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
        if choice := unlearned.choice:
            settings |= dict(alpha_by=args.alpha, aim=round(choice.aim, 4), samples_to_choose=choice.samples)
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
    scenario = scenario_of(args, loaded)
    check_fit(methods, loaded, scenario)
    recipe = recipe_of(args, loaded, network)
    return over_seeds(loaded, scenario, network, methods, args.seeds, recipe)


def wide(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, one column for each metric: ``mean ± half``, without the half for one seed."""
    text = [
        "–" if math.isnan(mean) else f"{mean:.2f}" + ("" if math.isnan(half) else f" ± {half:.2f}")
        for mean, half in zip(found["mean"], found["half"], strict=True)
    ]
    table = found.assign(text=text).pivot(index="model", columns="metric", values="text")
    return table.loc[list(dict.fromkeys(found["model"])), list(dict.fromkeys(found["metric"]))]
