"""Loss-Free Selective Synaptic Dampening (arXiv 2402.19308): the package behind the notebooks.

One idea per module: `data`, `scenarios` (what to forget), `models`, `training`, `gold` (retrained
models), `importance` (Fisher and sensitivity), `dampening`, `unlearn` (LFSSD and SSD in one line),
`metrics`, `membership`, `experiment` (all of it in one call), `figures`.
"""

__version__ = "0.1.0"
