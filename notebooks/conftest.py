"""nbval: the kernels show no progress bars, whose output would differ from run to run."""

import os

os.environ["LFSSD_PROGRESS"] = "off"
