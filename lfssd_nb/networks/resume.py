"""A training that is interrupted goes on after its last kept epoch, and ends in the same bits.

Kept are weights and buffers, what the optimizer and the schedule remember, and the state of the random
numbers: as tensors and JSON, never as pickled code.
"""

import copy
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ..system import files
from . import state

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
        copy of this very training nothing changes, and it is 0."""
        try:
            tensors, about = files.load(self.path)
        except (FileNotFoundError, files.CorruptFile):
            return 0
        before = [copy.deepcopy(part.state_dict()) for part in (model, optimizer, schedule)]
        draws = generator.get_state(), torch.get_rng_state()
        try:
            return self._put_back(tensors, about, model, optimizer, schedule, generator)
        except Exception:  # sealed by something else it can be unfit in any way
            for part, was in zip((model, optimizer, schedule), before, strict=True):
                part.load_state_dict(was)
            generator.set_state(draws[0])
            torch.set_rng_state(draws[1])
            return 0

    def _put_back(self, tensors: dict, about: dict, model: nn.Module, optimizer, schedule, generator) -> int:
        own = dict(groups=optimizer.state_dict()["param_groups"], schedule=schedule.state_dict())
        if _kinds({key: about[key] for key in own}) != _kinds(own):
            raise files.CorruptFile(f"{self.path} is of another training")
        draws = [tensors.pop(name, None) for name in ("generator", "torch", "cuda")]
        memory, parameters = {}, [p for group in optimizer.param_groups for p in group["params"]]
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, index, key = name.split(".", 2)
            value = memory.setdefault(int(index), {})[key] = tensors.pop(name)
            if value.dim() and value.shape != parameters[int(index)].shape:
                raise files.CorruptFile(f"{self.path} is of another network")
        state.load(model, {name.removeprefix("model."): value for name, value in tensors.items()}, self.path)
        optimizer.load_state_dict({"state": memory, "param_groups": about["groups"]})
        schedule.load_state_dict(about["schedule"])
        self.seconds, epochs = float(about["seconds"]), int(about["epochs"])
        generator.set_state(draws[0])
        torch.set_rng_state(draws[1])
        if draws[2] is not None:
            torch.cuda.set_rng_state(draws[2])
        return epochs

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


def _kinds(value):
    """The keys, lengths and types of something, as JSON would keep them."""
    if isinstance(value, dict):
        return {key: _kinds(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_kinds(part) for part in value]
    return "number" if isinstance(value, int | float) else type(value).__name__
