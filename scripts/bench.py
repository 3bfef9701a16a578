"""make bench: what importance costs, as a multiple of a bare forward and backward pass, in one run.

Bare pass: ``model(x).square().sum().backward()`` over the same data in the same batches of 64, eval
mode, every parameter's gradient. Ratios vary by some 10 % from run to run; the best of several
interleaved repeats is taken. Memory is a fresh process's peak above its level before (Linux).
"""

import argparse
import multiprocessing
import time
from pathlib import Path

import pandas as pd
import torch

from lfssd_nb import importance, networks
from lfssd_nb.data import show
from lfssd_nb.data.dataset import Dataset
from lfssd_nb.system import device as devices

CASES = {  # name: (architecture, image size, channels, images)
    "ResNet18 w16, 8x8": (networks.Architecture("resnet18", 16), 8, 1, 1024),
    "ResNet18 w16, 32x32": (networks.Architecture("resnet18", 16), 32, 3, 256),
    "ViT micro, 8x8": (networks.Architecture("vit"), 8, 1, 1024),
}


def case(name: str) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """Random images: the cost does not depend on what they show."""
    architecture, size, channels, n = CASES[name]
    x = torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 10
    stand_in = Dataset(name, x, y, x, y, tuple("0123456789"), "random", show.fitting(x))
    return networks.build(architecture, stand_in).eval(), x, y


def jobs(model, x, y) -> dict:
    def bare():
        for batch in x.split(64):
            model.zero_grad()
            model(batch).square().sum().backward()

    return {
        "bare forward + backward": bare,
        "sensitivity, batch mean": lambda: importance.sensitivity(model, x, reduction="batch", batch_size=64),
        "fisher, batch mean": lambda: importance.fisher(model, x, y, reduction="batch", batch_size=64),
        "sensitivity, per sample": lambda: importance.sensitivity(model, x, batch_size=64),
        "fisher, per sample": lambda: importance.fisher(model, x, y, batch_size=64),
    }


def seconds(model, x, y, repeats: int) -> pd.Series:
    todo = jobs(model, x, y)
    few = x[:64]
    slow = {
        f"sensitivity, per sample, {how}": lambda how=how: importance.sensitivity(model, few, method=how)
        for how in ("vmap", "loop")
    }
    best = dict.fromkeys(todo | slow, float("inf"))
    for repeat in range(repeats + 1):  # the first round warms up
        for name, job in (todo if repeat else todo | slow).items():
            start = time.perf_counter()
            job()
            spent = (time.perf_counter() - start) * (len(x) / len(few) if name in slow else 1)
            best[name] = min(best[name], spent) if repeat or name in slow else best[name]
    return pd.Series(best)


def resident(which: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process in MB, from Linux's /proc."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(which))
    return int(line.split()[1]) / 1024


def memory(name: str, batch_size: int, copies: int, queue) -> None:
    """Peak resident memory (MB) above the start of a pass over ``copies`` times the data."""
    model, x, _ = case(name)
    x = x.repeat(copies, 1, 1, 1)
    importance.sensitivity(model, x[:2])
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far: importing torch reaches higher
    importance.sensitivity(model, x, batch_size=batch_size)
    queue.put(resident("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4)
    repeats = parser.parse_args().repeats
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {devices.best()} present\n")
    for name in CASES:
        spent = seconds(*case(name), repeats)
        table = pd.DataFrame({"seconds": spent.round(3), "x bare": (spent / spent.iloc[0]).round(2)})
        print(f"{name}, {CASES[name][3]} images\n{table.to_string()}\n")
    if not Path("/proc/self/clear_refs").exists():
        return
    spawn = multiprocessing.get_context("spawn")
    print("peak memory above the start (MB), per-sample sensitivity, ResNet18 w16, 32x32")
    for batch_size in (32, 128):
        for copies in (1, 4):
            queue = spawn.SimpleQueue()
            process = spawn.Process(target=memory, args=("ResNet18 w16, 32x32", batch_size, copies, queue))
            process.start()
            print(f"  chunks of {batch_size:3d}, {256 * copies:4d} images: {queue.get():.0f}", flush=True)
            process.join()


if __name__ == "__main__":
    main()
