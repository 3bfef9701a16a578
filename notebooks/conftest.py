"""nbval: the kernels show no progress bars, and a claim that does not hold is an error, not a box."""

import os

os.environ |= {"LFSSD_PROGRESS": "off", "LFSSD_CLAIMS": "strict"}
