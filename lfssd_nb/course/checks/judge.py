"""How a reader's function is judged: beside the right one, on inputs that tell the usual slips apart."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Slips = Mapping[str, Callable]  # by the hint: a function that makes the mistake


def expect(condition, hint: str) -> None:
    if not bool(condition):
        raise AssertionError(f"not yet: {hint}")


def judge(answer: Callable, right: Callable, cases: Mapping[str, tuple], slips: Slips) -> None:
    """Asks ``answer`` for each of the ``cases`` (arguments, by what they are). Where it differs from
    ``right`` the hint is that of the slip that gives the same in every case, else in the first that
    differs; if none does, what was expected and what came."""
    found = {}
    for what, arguments in cases.items():
        given = copy.deepcopy(arguments)
        try:
            found[what] = answer(*given)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"not yet: {what}: {type(error).__name__}: {error}") from error
        untouched = all(same(a, b) for a, b in zip(given, arguments, strict=True))
        expect(untouched, f"{what}: the arguments have changed; work on copies and return something new")
    expected = {what: right(*copy.deepcopy(arguments)) for what, arguments in cases.items()}
    wrong = [what for what in cases if not same(found[what], expected[what])]
    if not wrong:
        return
    first = wrong[0]
    for needed in (list(cases), [first]):
        for hint, slip in slips.items():
            alike = all(same(found[what], slip(*copy.deepcopy(cases[what]))) for what in needed)
            expect(not alike, hint)
    expect(False, f"{first}: expected {shown(expected[first])}, got {shown(found[first])}")


def same(a, b) -> bool:
    """Equal up to rounding, NaN where the other is NaN, with the shapes of tensors and the keys of
    dictionaries."""
    if isinstance(b, nn.Module):
        return same(a.state_dict(), b.state_dict())
    if isinstance(b, Mapping):
        return isinstance(a, Mapping) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
    if isinstance(b, Tensor) != isinstance(a, Tensor) or isinstance(a, Mapping | list | tuple | str):
        return False
    try:
        a, b = (torch.as_tensor(v).detach() for v in (a, b))
    except (TypeError, ValueError, RuntimeError):
        return False
    if a.shape != b.shape or (a.dtype == torch.bool) != (b.dtype == torch.bool):
        return False
    return torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-9, equal_nan=True)


def shown(value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    if not isinstance(value, Tensor):
        return repr(value)
    if value.ndim < 2:
        return str([round(v, 4) for v in value.detach().flatten().tolist()])
    return f"a tensor {list(value.shape)} of mean {float(value.detach().double().mean()):.4g}"


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal random numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def chosen(n: int, high: int, seed: int = 0) -> Tensor:
    """n whole numbers below ``high``."""
    return torch.randint(high, (n,), generator=torch.Generator().manual_seed(seed))
