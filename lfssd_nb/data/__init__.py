"""What there is, and what must go: data sets of any kind, and the scenarios of forgetting."""

from . import scenarios
from .augment import Augmentation
from .catalogue import NAMES, load
from .dataset import Dataset
from .downloads import data_root
from .scenarios import Scenario

__all__ = ["NAMES", "Augmentation", "Dataset", "Scenario", "data_root", "load", "scenarios"]
