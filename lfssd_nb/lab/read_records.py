"""Reading the tables of records that are committed, or made by `records`.

>>> read(RECORDS / "methods.csv")
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pandas as pd

# The committed tables, which come with the package; `make study` writes them.
RECORDS = Path(str(resources.files(__package__) / "committed"))


def read(path: str | Path) -> pd.DataFrame:
    """A CSV of records (``.csv``, ``.csv.gz``), as in `RECORDS`; ``target`` stays text, a ``variant`` without
    a name is an empty one, ``settings`` becomes dicts.

    Raises ``FileNotFoundError`` saying how to make it.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: `make study` writes the records")
    table = pd.read_csv(path, dtype={"target": str})
    if "variant" in table:
        table = table.fillna({"variant": ""})
    return table.assign(settings=table["settings"].map(json.loads)) if "settings" in table else table


def labelled(path: str | Path, scenario: str, names: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """The records of one scenario whose (method, variant) is in ``names``, with that name as ``label``,
    in the order of ``names``."""
    table = read(path).query("scenario == @scenario")
    pairs = list(zip(table["method"], table["variant"], strict=True))
    order = {pair: k for k, pair in enumerate(names)}
    table = table.assign(label=[names.get(pair) for pair in pairs], order=[order.get(p) for p in pairs])
    return table.dropna(subset="label").sort_values(["order", "target", "seed"]).drop(columns="order")
