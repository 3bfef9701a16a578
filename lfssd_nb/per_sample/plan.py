"""The plan, made on a few samples: where in every use the samples are, and whether the rules are right.

Two forward passes, of three and of four samples, show which dimension of each tensor grows with their number.
Then the rules' sums of absolute gradients of four samples must equal those of a loop over single ones. What
is not covered goes the general way, and it is said why.
"""

import contextlib
import dataclasses
import math

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from ..batches import Batch
from ..layer_rules import Reduction
from ..precision import wide
from ..without_rules import General, zeros
from .one_use import Layout
from .passes import Passes
from .uses import HiddenUse

PLANNED = 4  # samples
UNSURE = "a single sample does not tell the order of samples and positions"


def few_of(first: Batch) -> Batch:
    """Four different samples from all over the batch; where it has fewer, mirror images keep them company."""
    n = len(first)
    order = [k * n // PLANNED for k in range(PLANNED)] + list(range(min(n, 64)))
    chosen = different(first, order)
    few = first.rows([chosen[k % len(chosen)] for k in range(PLANNED)])
    if len(chosen) == PLANNED:
        return few
    mirrored = few.map(lambda t: t.flip(-1) if t.ndim > 1 else t)
    copies = torch.arange(PLANNED) >= len(chosen)

    def company(t, m):
        if not isinstance(t, Tensor):
            return t
        return torch.where(copies.to(t.device).view(-1, *(1,) * (t.ndim - 1)), m, t)

    return Batch(tree_map(company, few.inputs, mirrored.inputs), few.targets)


def different(batch: Batch, order: list[int]) -> list[int]:
    """The first four of ``order`` whose inputs are not all the same as those of one before."""
    tensors = [t for t in tree_flatten(batch.inputs)[0] if isinstance(t, Tensor)]
    found: list[int] = []
    for k in order:
        if not any(all(torch.equal(t[k], t[other]) for t in tensors) for other in found):
            found.append(k)
        if len(found) == PLANNED:
            break
    return found


def make(passes: Passes, general: General, few: Batch, expected: Tensor, several: bool = True) -> None:
    """Sets what ``passes`` cover, and how. ``expected``: the logits of ``few``; ``several``: whether there
    are different samples in it: a single one does not tell the order of samples and positions."""
    why: dict[str, str] = {}
    try:
        while len(why) < len(passes.theta):
            passes.cover(why)
            if new := _find_samples(passes, few, expected):
                why |= new
                continue
            try:
                wrong = _wrong(passes, general, few)
            except HiddenUse as hidden:
                why |= {hidden.name: "it is used where no PyTorch call shows it"}
                continue
            if not wrong and not several:
                shared = [key for key, layout in passes.layouts.items() if layout.places != {1}]
                why |= {name: UNSURE for key in shared for name in key[:-1]}
                if shared:
                    continue
            if not wrong:
                break
            why |= dict.fromkeys(wrong, "its rule disagrees with single samples")
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a rule met that it was not made for
        said = str(error).partition("\n")[0][:120]
        why = dict.fromkeys(passes.theta, f"the rules do not go through this model: {said}")
    passes.cover(why)


def find_caches(passes: Passes, few: Batch, expected: Tensor) -> None:
    """For the general ways: what layers have kept of their parameters is read anew there, too."""
    with contextlib.suppress(Exception):  # the rules may not go through the model at all
        _find_samples(passes, few, expected)


def _find_samples(passes: Passes, few: Batch, expected: Tensor) -> dict[str, str]:
    """Sets ``layouts``: in which dimension of each use the number of samples shows."""
    why, touched = _look(passes, few)
    unseen = {name for name in passes.covered if name not in touched}
    if unseen and not passes.guard.empty and passes.guard.empty_caches():
        # what no pass touches may have been read once and kept: then, without what was kept, it is touched
        try:
            with torch.no_grad():
                again = passes.forward(few)
            without, touched = _look(passes, few)
            if torch.allclose(again, expected, rtol=passes.close) and unseen & touched:
                return without
        except Exception:  # what was taken away was no cache: anything may happen
            pass
        passes.guard.keep_caches()
        why, touched = _look(passes, few)
    return why


def _look(passes: Passes, few: Batch) -> tuple[dict[str, str], set[str]]:
    """What has no rule or no layout, and why; and the names that were seen at all."""
    small, large = (passes.watched(few.rows(slice(0, n)))[1] for n in (PLANNED - 1, PLANNED))
    why = small.unknown | large.unknown
    passes.layouts, passes.counts = {}, large.uses
    passes.entries = (
        sum(math.prod(shape) for shapes in large.recorded.values() for shape in shapes) // PLANNED
    )
    touched = {name for watch in (small, large) for key in watch.uses for name in key[:-1]} | why.keys()
    for key in small.recorded.keys() | large.recorded.keys():
        layout = _layout(small.recorded.get(key, []), large.recorded.get(key, []))
        if layout is None:
            why |= dict.fromkeys(key[:-1], f"in {key[-1]} the samples are in no dimension of their own")
        else:
            passes.layouts[key] = layout
    return why, touched


def _wrong(passes: Passes, general: General, few: Batch) -> set[str]:
    """The covered names with another sum than single samples, in either order of samples and positions."""
    wrong = _compare(passes, general, few)
    merged = {key for key in passes.layouts if wrong & set(key[:-1])}
    if wrong and merged:
        before = dict(passes.layouts)
        passes.layouts |= {key: dataclasses.replace(before[key], minor=True) for key in merged}
        still = _compare(passes, general, few)
        if still >= wrong:
            passes.layouts = before
        wrong = min(wrong, still, key=len)
    return wrong


def _compare(passes: Passes, general: General, few: Batch) -> set[str]:
    """The covered names whose sums are not those of a loop over single samples."""
    sums: dict[str, Tensor] = {}

    def take(name, value, terms, start):
        if name not in sums:
            sums[name] = zeros(passes.theta[name])
        total = sums[name] if start is None else sums[name].view(-1)[start : start + value.numel()]
        total += value.view_as(total)

    passes.by_rules(few, Reduction("abs", passes.budget), take)
    largest = {name: float(value.max()) for name, value in sums.items()}
    loop = dict.fromkeys(passes.covered, 0.0)

    def subtract(name: str, leaf: Tensor) -> None:
        g, leaf.grad = leaf.grad, None
        g = wide(g.to_dense() if g.is_sparse else g).abs()
        loop[name] += float(g.max())
        if name in sums:
            sums[name] -= g

    for k in range(PLANNED):
        sample = few.rows(slice(k, k + 1))
        leaves = {name: passes.theta[name].detach().requires_grad_() for name in passes.covered}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda leaf, name=name: subtract(name, leaf))
        total = general.one(leaves, sample)
        if total.requires_grad:
            total.backward(inputs=list(leaves.values()))
    scale = max([*largest.values(), *loop.values()], default=0.0)
    errors = {name: float(sums[name].abs().max()) if name in sums else loop[name] for name in passes.covered}
    return {
        name for name, error in errors.items()
        if error > passes.close * max(largest.get(name, 0.0), loop[name]) + 1e-7 * scale
    }  # fmt: skip


def _layout(small: list[tuple], large: list[tuple]) -> Layout | None:
    """The dimension that grows with the number of samples, the same one in all of them."""
    dims, places = set(), set()
    if len(small) != len(large) or not small:
        return None
    for a, b in zip(small, large, strict=True):
        changed = [d for d in range(len(a)) if len(a) == len(b) and a[d] != b[d]]
        if len(changed) != 1 or a[changed[0]] * PLANNED != b[changed[0]] * (PLANNED - 1):
            return None
        dims.add(changed[0])
        places.add(b[changed[0]] // PLANNED)
    return Layout(dims.pop(), places=frozenset(places)) if len(dims) == 1 else None
