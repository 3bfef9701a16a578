"""A table as samples: rows of numbers, standardised by the training set, one column the label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from .encode import split
from .show import Rows


def from_table(
    table: pd.DataFrame | np.ndarray,
    label: str | int,
    *,
    columns: Sequence | None = None,
    group: str | int | None = None,
    test: float = 0.2,
    seed: int = 0,
    name: str = "my table",
    source: str = "your own table",
    device: torch.device | str = "cpu",
) -> dict:
    """What `Dataset.from_tensors` takes: samples ``[N, F]``, columns of numbers with D's mean 0 and standard
    deviation 1, labels and groups.

    table: a pandas table, or an array ``[N, F + 1]`` whose columns have numbers for names. label: the column
    of classes (numbers or names); group: of whom a row comes from. columns: which to use (default: all
    others). test: this share of every class, drawn with ``seed``, is the test set.
    Raises ``ValueError`` for a column that is not there, holds no numbers, or is not finite.
    """
    table = table if isinstance(table, pd.DataFrame) else pd.DataFrame(np.asarray(table))
    named = [label] + ([] if group is None else [group]) + list(columns or ())
    if missing := [c for c in named if c not in table.columns]:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {list(table.columns)[:12]}")
    columns = [c for c in table.columns if c not in (label, group)] if columns is None else list(columns)
    for column in columns:
        if not (pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column])):
            raise ValueError(f"column {column!r} holds no numbers: turn it into some with pandas.get_dummies")
        if not np.isfinite(table[column].to_numpy(float)).all():
            raise ValueError(f"column {column!r} has missing or infinite values: drop or fill them first")
    if not columns:
        raise ValueError("the table has no column of features beside the label: name some in columns=")
    y = _labels(table[label])
    train, other = split(y, test, seed)
    x = table[columns].to_numpy(np.float64)
    mean, std = x[train].mean(0), x[train].std(0)
    x = (x - mean) / np.where(std > 0, std, 1.0)
    found = dict(train_x=x[train], train_y=y[train], test_x=x[other], test_y=y[other])
    if group is not None:
        who = table[group].astype(str).to_numpy()
        found |= dict(train_group=who[train], test_group=who[other])
    show = Rows(tuple(map(str, columns)))
    return found | dict(name=name, source=source, show=show, device=device)


def _labels(column: pd.Series) -> np.ndarray:
    """Class numbers 0, 1, ... as they are; everything else as names."""
    if column.isna().any():
        raise ValueError(f"the label column {column.name!r} has missing values: drop these rows first")
    values = column.to_numpy()
    whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and (values == values.round()).all())
    if whole and set(np.unique(values)) == set(range(len(np.unique(values)))):
        return values.astype(np.int64)
    return np.array([str(v) for v in values])
