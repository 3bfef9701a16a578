"""Per-sample gradients of one use of a parameter, from what went in and the gradient of what came out.

A function that sees activations :math:`a` and receives the output gradient :math:`b` knows the gradient of
its parameters for *every* sample of the batch; ordinary autograd adds them up over the batch before anyone
can take an absolute value. A rule calls its function with parameters that are cut off from autograd, and says
what the gradient of each sample is when b arrives. One family a file: `linear`, `convolution`,
`normalisation`, `embedding`, `recurrent`, `broadcast`; `reduction` adds them up.

``RULES``: by PyTorch's function, not by the layer's class, so that ``F.linear(x, self.weight)`` in a module
of your own is covered like ``nn.Linear``. ``rule(use, function, *args, **kwargs)`` returns what the function
returns, or NotImplemented where it does not apply. ``REWRITTEN``: functions that are first written out in
others.
"""

from . import broadcast, convolution, embedding, linear, normalisation, recurrent
from .reduction import Reduction as Reduction

RULES = {}
for family in (broadcast, convolution, embedding, linear, normalisation):
    RULES |= family.RULES
REWRITTEN = broadcast.REWRITTEN | embedding.REWRITTEN | recurrent.REWRITTEN
LIKE = broadcast.LIKE
