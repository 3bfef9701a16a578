"""A training that is interrupted goes on after its last kept epoch, and ends in the same bits.

Kept are weights and buffers, what the optimizer and the schedule remember, and the state of the random
numbers: as tensors and JSON, never as pickled code.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ..system import files

EVERY = 60.0  # seconds between two copies: a training that is shorter writes none


@dataclass
class Halfway:
    """The file of one training. ``seconds``: what earlier, interrupted tries had spent until their copy."""

    path: Path
    seconds: float = 0.0
    begun: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    @property
    def spent(self) -> float:
        """Seconds of training up to now, those of earlier tries included."""
        return self.seconds + time.perf_counter() - self.begun

    def take_up(self, model: nn.Module, optimizer, schedule, generator: torch.Generator) -> int:
        """Puts all four back to where the copy was made; returns how many epochs were done. Without a sound
        copy nothing changes, and it is 0."""
        try:
            tensors, about = files.load(self.path)
        except (FileNotFoundError, files.CorruptFile):
            return 0
        generator.set_state(tensors.pop("generator"))
        torch.set_rng_state(tensors.pop("torch"))
        if "cuda" in tensors:
            torch.cuda.set_rng_state(tensors.pop("cuda"))
        memory = {}
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, index, key = name.split(".", 2)
            memory.setdefault(int(index), {})[key] = tensors.pop(name)
        optimizer.load_state_dict({"state": memory, "param_groups": about["groups"]})
        schedule.load_state_dict(about["schedule"])
        model.load_state_dict({name.removeprefix("model."): value for name, value in tensors.items()})
        self.seconds = about["seconds"]
        return about["epochs"]

    def keep(self, epochs: int, model: nn.Module, optimizer, schedule, generator: torch.Generator) -> None:
        """Writes a copy if the last one is `EVERY` seconds old. A full disk must not cost the training."""
        if time.perf_counter() - self.last < EVERY:
            return
        state = optimizer.state_dict()
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for index, memory in state["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in memory.items()}
        tensors |= {"generator": generator.get_state(), "torch": torch.get_rng_state()}
        if next(model.parameters()).is_cuda:
            tensors["cuda"] = torch.cuda.get_rng_state()
        about = dict(
            epochs=epochs, seconds=self.spent, groups=state["param_groups"], schedule=schedule.state_dict()
        )
        with suppress(OSError):
            files.save(self.path, tensors, about)
        self.last = time.perf_counter()

    def done(self) -> None:
        """The training is over: the copy goes."""
        self.path.unlink(missing_ok=True)
