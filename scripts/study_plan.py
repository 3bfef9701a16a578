"""What `make study` has before it: jobs of each table, how many are finished, networks to train.

python scripts/study_plan.py
"""

import pandas as pd
from study import ROOT
from study_tables import TABLES

from lfssd_nb.lab import cases, record_files


def plan() -> pd.DataFrame:
    """A row a table. ``networks``: originals and gold models of unfinished jobs, each once; those that the
    cache has, or another table trains, are not trained again."""
    rows = {}
    for name, table in TABLES.items():
        jobs, folder = table.jobs(), ROOT / "build" / table.made_in
        left = [each for each in jobs if record_files.wanted(folder, each, quiet=True)]
        networks = len(cases.models(left, table.golds))
        rows[name] = dict(jobs=len(jobs), finished=len(jobs) - len(left), networks=networks)
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    print(plan().to_string())
    print("The tuning is counted as it was committed: from nothing its ladders may end elsewhere.")
