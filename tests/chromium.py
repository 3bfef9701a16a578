"""Where a Chromium is installed, for the tests that look at pages in a real browser; None without one."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
