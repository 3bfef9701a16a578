"""make bench, third part: what per-sample importance costs on models of many kinds, beside other packages.

64 samples, one run, one thread unless OMP_NUM_THREADS says otherwise. Unit: a bare pass,
``logits(x).square().sum().backward()`` over the same samples, 1. The best of several interleaved repeats.

* batch mean, per sample: this package's `BatchMean` and `PerSample`; its plan, made once a call, has its own
  column;
* vmap(grad): ``torch.func``, the absolute per-sample gradients added up;
* Opacus and BackPACK do the same, and supreme-unlearning's LFSSD its batch mean and, with batches of one, the
  same, where they are installed (``pip install opacus backpack-for-pytorch``, ``supreme-unlearning`` with
  ``wandb lightning``; they are no requirement) and take the model.

Memory: peak resident memory of a fresh process over its level before (Linux), for `PerSample` and for the
bare pass, which holds activations and one copy of gradients; beside the size of the parameters.
"""

import argparse
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
import torchvision
from bench import resident
from torch import Tensor, nn

from lfssd_nb import networks
from lfssd_nb.batch_mean import BatchMean
from lfssd_nb.batches import Batch
from lfssd_nb.data import show
from lfssd_nb.data.dataset import Dataset
from lfssd_nb.importance_scores import squared_norm, squared_norm_mean
from lfssd_nb.logits import Logits
from lfssd_nb.per_sample import PerSample, SlowWay
from lfssd_nb.per_sample.guard import Guard
from lfssd_nb.precision import differentiating
from lfssd_nb.without_rules import zeros

N = 64
VISION = torchvision.models


class Recurrent(nn.Module):
    """50 steps of 32 numbers."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.head = kind(32, 64, batch_first=True), nn.Linear(64, 5)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Words(nn.Module):
    """32 of 30,000 words: their mean, or two transformer blocks."""

    def __init__(self, blocks: bool):
        super().__init__()
        self.embed, self.places = nn.Embedding(30000, 128), nn.Parameter(torch.randn(1, 32, 128) / 10)
        block = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False) if blocks else nn.Identity()
        self.head = nn.Linear(128, 5)

    def forward(self, x):
        return self.head(self.blocks(self.embed(x) + self.places).mean(1))


def images(size: int, channels: int = 3) -> Tensor:
    return torch.randn(N, channels, size, size, generator=torch.Generator().manual_seed(0))


def words(vocabulary: int, length: int) -> Tensor:
    return torch.randint(3, vocabulary, (N, length), generator=torch.Generator().manual_seed(0))


def ours(name: str, size: int, channels: int, **options) -> tuple[nn.Module, Tensor]:
    x, y = images(size, channels), torch.arange(N) % 10
    stand_in = Dataset(name, x, y, x, y, tuple("0123456789"), "random", show.fitting(x))
    return networks.build(networks.Architecture(name, **options), stand_in), x


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, num_labels=5
    )
    return BertForSequenceClassification(config), {"input_ids": words(30522, 64)}


def gpt2():
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(n_embd=128, n_layer=2, n_head=2, n_positions=128, num_labels=5, pad_token_id=0)
    return GPT2ForSequenceClassification(config), {"input_ids": words(50257, 64)}


CASES: dict[str, Callable[[], tuple[nn.Module, object]]] = {
    "ResNet18 w16, 8x8": lambda: ours("resnet18", 8, 1, width=16),
    "ResNet18 w16, 32x32": lambda: ours("resnet18", 32, 3, width=16),
    "MobileNetV3-S, 64x64": lambda: (VISION.mobilenet_v3_small(num_classes=10), images(64)),
    "EfficientNet-B0, 64x64": lambda: (VISION.efficientnet_b0(num_classes=10), images(64)),
    "ConvNeXt-T, 64x64": lambda: (VISION.convnext_tiny(num_classes=10), images(64)),
    "Swin-T, 64x64": lambda: (VISION.swin_t(num_classes=10), images(64)),
    "ViT micro, 8x8": lambda: ours("vit", 8, 1),
    "ViT small, 32x32": lambda: (VISION.VisionTransformer(32, 4, 4, 3, 192, 768, num_classes=10), images(32)),
    "GRU, 50 steps": lambda: (Recurrent(nn.GRU), torch.randn(N, 50, 32)),
    "LSTM, 50 steps": lambda: (Recurrent(nn.LSTM), torch.randn(N, 50, 32)),
    "embedding of 30,000 words": lambda: (Words(False), words(30000, 32)),
    "transformer on them": lambda: (Words(True), words(30000, 32)),
    "BERT tiny": bert,
    "GPT-2 tiny": gpt2,
}


def case(name: str) -> tuple[Logits, Batch]:
    torch.manual_seed(0)
    model, x = CASES[name]()
    return Logits(model.eval()), Batch(x)


def bare(logits: Logits, batch: Batch) -> None:
    logits.zero_grad()
    logits(batch.inputs).square().sum().backward()


def by_vmap(logits: Logits, batch: Batch) -> None:
    theta = {k: p.detach() for k, p in logits.named_parameters()}

    def one(theta, inputs):
        inputs = torch.utils._pytree.tree_map(lambda t: t[None], inputs)
        return torch.func.functional_call(logits, theta, (inputs,)).square().sum()

    chunk = max(1, 2**24 // sum(p.numel() for p in theta.values()))
    for k in range(0, len(batch), chunk):
        inputs = batch.rows(slice(k, k + chunk)).inputs
        for g in torch.func.vmap(torch.func.grad(one), (None, 0))(theta, inputs).values():
            g.abs().sum(0)


def by_opacus(logits: Logits, batch: Batch) -> None:
    from opacus import GradSampleModule

    wrapped = GradSampleModule(logits.model, loss_reduction="sum").train()  # in eval mode it keeps nothing
    try:
        logits_of = (
            wrapped(batch.inputs) if isinstance(batch.inputs, Tensor) else wrapped(**batch.inputs).logits
        )
        logits_of.square().sum().backward()
        for p in wrapped.parameters():
            p.grad_sample.abs().sum(0)
    finally:
        wrapped.to_standard_module()


def by_backpack(logits: Logits, batch: Batch) -> None:
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    model = extend(logits.model)
    loss = extend(nn.MSELoss(reduction="sum"))  # against zeros it is the squared norm
    with backpack(BatchGrad()):
        z = model(batch.inputs)
        loss(z, torch.zeros_like(z)).backward()
    for p in model.parameters():
        p.grad_batch.abs().sum(0)


def by_supreme(logits: Logits, batch: Batch, size: int = 1) -> None:
    """supreme-unlearning's LFSSD, whose importances are means of batches; batches of one are per sample."""
    from lightning.fabric import Fabric
    from supreme.methods.unlearning_methods.lfssd import ParameterPerturber

    rates = ("lower_bound", "exponent", "magnitude_diff", "min_layer", "max_layer")
    rates += ("forget_threshold", "dampening_constant", "selection_weighting")
    opt = torch.optim.SGD(logits.parameters(), lr=0.1)
    theirs = ParameterPerturber(Fabric(accelerator="cpu"), logits, opt, dict.fromkeys(rates, 1))
    parts = [batch.rows(slice(k, k + size)).inputs for k in range(0, len(batch), size)]
    theirs.calc_importance([(x, None, None) for x in parts])


OTHERS = {
    "vmap(grad)": by_vmap, "Opacus": by_opacus, "BackPACK": by_backpack,
    "supreme, batch mean": partial(by_supreme, size=N), "supreme, per sample": by_supreme,
}  # fmt: skip


def seconds(jobs: dict[str, Callable], repeats: int) -> dict[str, float]:
    """The fastest of several interleaved repeats; nothing for a job that does not take the model."""
    best = dict.fromkeys(jobs, float("inf"))
    for repeat in range(repeats + 1):  # the first round warms up
        for name in list(best):
            start = time.perf_counter()
            try:
                jobs[name]()
            except Exception as error:
                print(f"    {name}: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
                del best[name]
                continue
            if repeat:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def measured(name: str, repeats: int, others: bool) -> dict:
    logits, batch = case(name)
    with differentiating(logits.model), warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWay)
        start = time.perf_counter()
        plan = PerSample(logits, squared_norm, batch)
        planned = time.perf_counter() - start
        mean = BatchMean(logits, squared_norm_mean, plan.passes.theta, Guard(logits.model))
        sums = {k: zeros(p) for k, p in plan.passes.theta.items()}
        jobs = {
            "bare": lambda: bare(logits, batch),
            "batch mean": lambda: mean.add(batch, "abs", sums),
            "per sample": lambda: plan.add(batch, "abs", sums),
        }
        spent = seconds(jobs, repeats)
        if others:
            for tool, run in OTHERS.items():  # each on a model of its own: they leave hooks behind
                own = case(name)
                spent |= seconds({tool: lambda run=run, own=own: run(*own)}, 1)
    unit = spent["bare"]
    row = {"bare, ms": round(1000 * unit, 1)} | {
        k: round(v / unit, 2) for k, v in spent.items() if k != "bare"
    }
    return row | {"plan": round(planned / unit, 1), "slow parameters": len(plan.rest)}


def peak(name: str, what: str, queue) -> None:
    """Peak memory (MB) over the level before: of the bare pass or of `PerSample`."""
    logits, batch = case(name)
    few = batch.rows(slice(0, 2))
    bare(logits, few)
    logits.zero_grad()
    if what == "per sample":
        plan = PerSample(logits, squared_norm, few)
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    if what == "per sample":
        plan.add(batch, "abs", {k: zeros(p) for k, p in plan.passes.theta.items()})
    else:
        bare(logits, batch)
    copy = sum(p.numel() * p.element_size() for p in logits.parameters()) / 2**20
    queue.put((resident("VmHWM") - before, copy))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the models' names")
    parser.add_argument("--without", action="store_true", help="neither vmap nor other packages")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {N} samples")
    rows, spawn = {}, multiprocessing.get_context("spawn")
    for name in (name for name in CASES if any(part in name for part in args.only)):
        try:
            rows[name] = measured(name, args.repeats, not args.without)
        except ImportError as error:
            print(f"  {name}: {error}")
            continue
        for what in ("bare", "per sample"):
            queue = spawn.SimpleQueue()
            process = spawn.Process(target=peak, args=(name, what, queue))
            process.start()
            used, copy = queue.get()
            process.join()
            rows[name] |= {f"MB, {what}": round(used), "MB, parameters": round(copy)}
        print(f"  {name}: {rows[name]}", flush=True)
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
