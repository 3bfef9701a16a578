"""Reading the records of `runner`: a tidy table, and means over seeds with intervals."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from scipy.stats import t


def read(path: str | Path) -> pd.DataFrame:
    """A committed CSV of records (``.csv``, ``.csv.gz``); ``target`` stays text, a ``variant`` without a name
    is an empty one, ``settings`` becomes dicts.

    Raises ``FileNotFoundError`` saying how to make it.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: `make study` writes the records")
    table = pd.read_csv(path, dtype={"target": str})
    if "variant" in table:
        table = table.fillna({"variant": ""})
    return table.assign(settings=table["settings"].map(json.loads)) if "settings" in table else table


def mean_and_interval(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    r"""``mean``, ``half`` (of the 95 % interval) and ``n`` of a column, per group.

    :math:`\bar v \pm t_{0.975,\,n-1}\, s / \sqrt n`: for a handful of seeds Student's t, not 1.96. With one
    value there is no interval (NaN).
    """
    groups = table.groupby(list(by), sort=False)[value]
    n = groups.count()
    half = t.ppf(0.975, (n - 1).clip(lower=1)) * groups.std() / n**0.5
    return pd.DataFrame({"mean": groups.mean(), "half": half, "n": n})


def labelled(path: str | Path, scenario: str, names: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """The records of one scenario whose (method, variant) is in ``names``, with that name as ``label``,
    in the order of ``names``."""
    table = read(path).query("scenario == @scenario")
    pairs = list(zip(table["method"], table["variant"], strict=True))
    order = {pair: k for k, pair in enumerate(names)}
    table = table.assign(label=[names.get(pair) for pair in pairs], order=[order.get(p) for p in pairs])
    return table.dropna(subset="label").sort_values(["order", "target", "seed"]).drop(columns="order")
