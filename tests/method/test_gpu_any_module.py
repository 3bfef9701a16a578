"""Modules of many kinds on a GPU: the importances are those of a float64 loop on the CPU."""

import warnings

import pytest
import torch
from modules import Cached, Experts, Frames, Last, Swinging, convolutions, randn, recurrent
from test_any_module import emptied, reference, single, worst
from test_model_libraries import LANGUAGE, VISION, images, language, text, vision, warmed
from torch.nn import Conv2d, Flatten, GroupNorm, Linear, Sequential, TransformerEncoderLayer

from lfssd_nb.batches import Batch
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.parameters import copy_of
from lfssd_nb.per_sample import SlowWay

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
N = 6
OTHERS = {
    "frames": (Frames, (3, 8, 5, 5)),
    "windows": (Swinging, (8, 6)),
    "experts": (Experts, (4,)),
    "a cache": (Cached, (3,)),
    "a cache in an attribute": (lambda: Cached(True), (3,)),
    "group norm": (lambda: Sequential(Conv2d(3, 8, 3), GroupNorm(2, 8), Flatten(), Linear(72, 4)), (3, 5, 5)),
    "attention": (
        lambda: Sequential(
            TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), Flatten(), Linear(40, 4)
        ),
        (5, 8),
    ),
}


LIBRARY = 1e-6  # some compute parts in float32 whatever comes in; CUDA's hardswish has float32 constants


def agrees_there(model, data, of_float32: float = 1e-5, of_float64: float = 1e-9):
    """To ``of_float64`` and ``of_float32`` of each tensor's maximum; Fisher too."""
    model = model.double().eval()
    expected = reference(model, data)
    there = Batch(data).map(lambda t: t.cuda()).inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWay)
        exact = emptied(copy_of(model)).cuda()
        assert on_cpu(sensitivity(exact, there, batch_size=4).mean, expected) < of_float64
        rough = emptied(copy_of(model)).float().cuda()
        assert on_cpu(sensitivity(rough, single(there), batch_size=4).mean, expected) < of_float32
        y = torch.arange(len(Batch(data))) % 2
        found = fisher(exact, there, y.cuda(), batch_size=4).mean
        assert on_cpu(found, reference(model, data, y)) < of_float64


def on_cpu(found, expected) -> float:
    assert all(value.is_cuda for value in found.values())
    return worst({name: value.cpu() for name, value in found.items()}, expected)


@pytest.mark.parametrize("name", convolutions())
def test_convolutions(name):
    model, shape = convolutions()[name]
    agrees_there(model, randn(N, *shape))


@pytest.mark.parametrize("name", recurrent())
def test_recurrent(name):
    torch.manual_seed(0)
    agrees_there(Last(recurrent()[name]), randn(N, 7, 5))


@pytest.mark.parametrize("name", OTHERS)
def test_others(name):
    torch.manual_seed(0)
    make, shape = OTHERS[name]
    agrees_there(make(), randn(N, *shape))


@pytest.mark.filterwarnings("ignore::UserWarning:timm", "ignore::FutureWarning")
@pytest.mark.parametrize("name", VISION)
def test_vision(name):
    size, options = VISION[name]
    torch.manual_seed(0)
    agrees_there(warmed(vision(name, **options)), images(size).double(), 1e-4, LIBRARY)


@pytest.mark.parametrize("name", LANGUAGE)
def test_language(name):
    agrees_there(language(name), text(), of_float64=LIBRARY)
