"""Gradients of single samples, added up: the way from a model and a batch to sums over samples.

`sums` adds up over batches · `plan` is made first, on a few samples, and `trust` says for which models there
is one · `passes` run the model, `guard` leaves it as it was · `uses` sees every use of a parameter, `one_use`
is one of them, `pullback` goes on from there to the parameter.
"""

from .sums import PerSample as PerSample
from .sums import SlowWay as SlowWay
