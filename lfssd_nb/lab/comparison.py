"""One comparison, start to end: original, gold and unlearned models, measured alike."""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pandas as pd
from torch import nn

from .. import agreement, baselines, importance, unlearn
from ..audit.how_accurate import accuracies, outputs
from ..audit.intervals import mean_and_interval
from ..audit.membership import entropy_attack
from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.architecture import Build
from ..networks.gold import retrained
from ..networks.recipes import Recipe
from ..networks.training import chosen, trained
from ..unlearn import Unlearned
from .multiprocess import first_on_rank_0, same_model, spread

Metric = Callable[[nn.Module, Dataset, Scenario], float]
# The original, gold, and what few networks are small enough for.
NOT_COMPARED = {"nothing", "retrain", "ntk_scrubbing"}


@dataclass(frozen=True)
class Comparison:
    """``models`` by name (``original``, ``gold``, then one per method), ``table`` with a row for
    each (accuracies in percent, ``mia`` in 0..1, and metrics of your own), ``unlearned`` for LFSSD and SSD,
    ``seconds`` per stage (a model from the cache loads in milliseconds)."""

    models: dict[str, nn.Module]
    table: pd.DataFrame
    unlearned: dict[str, Unlearned]
    seconds: dict[str, float]


def evaluate(
    model: nn.Module, data: Dataset, scenario: Scenario, metrics: Mapping[str, Metric] | None = None
) -> dict[str, float]:
    """The four accuracies (percent) and ``mia`` (0..1) of one model, then ``metrics`` of your own by name."""
    z = outputs(model, data)
    row = accuracies(z, data, scenario) | {"mia": entropy_attack(z, data, scenario).mia}
    return row | {name: float(metric(model, data, scenario)) for name, metric in (metrics or {}).items()}


def forget(
    method: str, model: nn.Module, data: Dataset, scenario: Scenario, distributed: bool = False, **options
) -> Unlearned:
    """Runs LFSSD or SSD (by name) on a scenario. Options: those of `unlearn.lfssd`, and ``scale``, the
    scale-free alpha' in place of alpha. An alpha that is left out is the constant of `unlearn.default_alpha`,
    as in every comparison; ``alpha="agreement"`` chooses it for this model and scenario.

    distributed: all ranks of a `multiprocess.process_group` call this, and share the work of the importances.
    """
    check(data, scenario)
    options = _unscaled(options, scenario)
    unlearn.check(method, **options)
    x, y = data.train_x, data.train_y
    if options.get("alpha") is None:
        options = options | {"alpha": unlearn.default_alpha(method, model, len(x), len(scenario.forget))}
    if distributed:
        rule = {name: options.pop(name) for name in ("alpha", "lam") if name in options}
        columns = [x] if method == "lfssd" else [x, y]
        estimate = importance.sensitivity if method == "lfssd" else importance.fisher
        i_f = spread(estimate, model, *(column[scenario.forget] for column in columns), **options)
        i_d = spread(estimate, model, *columns, **options)
        rule["parameters"], choice = options.get("parameters"), None
        if rule.get("alpha") == agreement.NAME:
            how = {name: options[name] for name in ("batch_size", "forward") if name in options}
            lam = rule.get("lam", 1.0)
            choice = agreement.chosen(model, i_f, i_d, x[scenario.forget], x, lam, **how)
            rule["alpha"] = choice.alpha
        return replace(getattr(unlearn, method)(model, i_f, i_d, **rule), choice=choice)
    if method == "lfssd":
        return unlearn.lfssd(model, x[scenario.forget], x, **options)
    return unlearn.ssd(model, (x[scenario.forget], y[scenario.forget]), (x, y), **options)


def fitting(data: Dataset, scenario: Scenario) -> list[str]:
    """The registered methods that can be compared on such data and such a scenario, LFSSD and SSD first."""
    check(data, scenario)
    named = [m.name for m in baselines.METHODS.values() if m.fits(data, scenario)]
    return [*unlearn.METHODS, *(n for n in named if n not in {*unlearn.METHODS, *NOT_COMPARED})]


def compare(
    data: Dataset,
    scenario: Scenario,
    architecture: Build | None = None,
    methods: Mapping[str, dict] | Iterable[str] | str | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    gold: bool = True,
    distributed: bool = False,
    *,
    build: Callable[[Dataset], nn.Module] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Comparison:
    """Trains the original and (unless ``gold=False``) the gold model, forgets, measures all.

    architecture: an `Architecture` or a function of your own, also as ``build=``, see `training.trained`.
    methods: options by method name, for instance ``{"lfssd": {"alpha": 4}, "scrub": {}}``, names alone, or
    ``"all"`` for all that are registered and fit (default: LFSSD and SSD); options of LFSSD and SSD are those
    of `forget`, of others those of `baselines`. Of ``"all"``, what refuses is left out; one warning at
    the end names them.
    metrics: of your own, by name: ``metric(model, data, scenario)`` gives a number.
    distributed: all ranks of a `multiprocess.process_group` call this: rank 0 trains while the others
    wait, all share the work of the importances, and each returns the same comparison. LFSSD and SSD alone.
    Trained models come from the cache if they are there.
    """
    check(data, scenario)
    turn = first_on_rank_0 if distributed else lambda work: work()
    architecture = chosen(data, architecture, build)
    options_of, every = _options(methods, data, scenario)
    seconds: dict[str, float] = {}
    with _timed(seconds, "train"):
        models = {"original": turn(lambda: trained(data, architecture, recipe, seed))}
    if gold:
        with _timed(seconds, "gold"):
            models["gold"] = turn(lambda: retrained(data, scenario, architecture, recipe, [seed])[0])
    if distributed:
        for model in models.values():  # a model that could not be cached was trained on every rank
            same_model(model)
    failed: dict[str, str] = {}
    unlearned, task = {}, baselines.make(data, scenario, architecture, recipe, seed)
    for method, options in options_of.items():
        try:
            with _timed(seconds, method):
                if method in unlearn.METHODS:
                    unlearned[method] = forget(
                        method, models["original"], data, scenario, distributed, **options
                    )
                    models[method] = unlearned[method].model
                else:
                    models[method] = baselines.get(method)(models["original"], task, **options)
        except (ValueError, FloatingPointError) as error:
            if not every:
                raise
            failed[method] = str(error)
    with _timed(seconds, "evaluate"):
        rows = {}
        for name, model in [*models.items()]:
            try:
                rows[name] = evaluate(model, data, scenario, metrics)
            except FloatingPointError as error:
                if not every or name in ("original", "gold"):
                    raise FloatingPointError(f"{name}: {error}") from error
                failed[name] = str(error)
                del models[name]
                unlearned.pop(name, None)
    if failed:
        said = "; ".join(f"{method}: {error}" for method, error in failed.items())
        warnings.warn(
            f"{len(failed)} of {len(options_of)} methods failed and are left out: {said}", stacklevel=2
        )
    return Comparison(models, pd.DataFrame(rows).T, unlearned, seconds)


def _unscaled(options: dict, scenario: Scenario) -> dict:
    """``scale``, the scale-free alpha', as the ``alpha`` that it is here."""
    if "scale" not in options:
        return options
    n_forget, rest = len(scenario.forget), {k: v for k, v in options.items() if k not in ("alpha", "scale")}
    n_full = n_forget + len(scenario.retain)
    return rest | {"alpha": unlearn.alpha_of(options.get("alpha"), options["scale"], n_full, n_forget)}


def _options(methods, data: Dataset, scenario: Scenario) -> tuple[dict[str, dict], bool]:
    """Options by method, checked before any work is done; whether ``"all"`` were asked for."""
    every = False
    if not isinstance(methods, Mapping):
        names = (
            [*unlearn.METHODS] if methods is None else [methods] if isinstance(methods, str) else [*methods]
        )
        every = "all" in names
        names = [*(fitting(data, scenario) if every else ()), *(name for name in names if name != "all")]
        methods = {name: {} for name in names}
    for method, options in methods.items():
        if method in unlearn.METHODS:
            unlearn.check(method, **_unscaled(options, scenario))
        else:
            baselines.get(method).check(options)
    return dict(methods), every


def over_seeds(
    data: Dataset,
    scenario: Scenario,
    architecture: Build | None = None,
    methods: Mapping[str, dict] | Iterable[str] | str | None = None,
    seeds: Iterable[int] = (0, 1, 2),
    recipe: Recipe | None = None,
    *,
    build: Callable[[Dataset], nn.Module] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> pd.DataFrame:
    """`compare` for several training seeds: columns ``model``, ``metric``, ``mean``, ``half`` (of the 95 %
    interval over seeds, see `intervals.mean_and_interval`) and ``n``, models in the order of `Comparison`."""
    tables = []
    for seed in seeds:
        done = compare(data, scenario, architecture, methods, seed, recipe, build=build, metrics=metrics)
        tables.append(done.table.rename_axis(index="model", columns="metric").stack(future_stack=True))
    if not tables:
        raise ValueError("seeds=() leaves nothing to compare: give at least one")
    long = pd.concat(tables).rename("value").reset_index()
    return mean_and_interval(long, ["model", "metric"], "value").reset_index()


@contextmanager
def _timed(seconds: dict[str, float], stage: str):
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 3)
