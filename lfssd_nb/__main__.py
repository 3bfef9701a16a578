"""``lfssd-nb``, or ``python -m lfssd_nb``: the command, which may be interrupted while it is imported."""

import signal
import sys

from .system import interrupts


def main() -> int:
    before = {each: signal.signal(each, interrupts.end_at_once) for each in (signal.SIGINT, signal.SIGTERM)}
    from . import cli  # torch and all that stands on it: seconds

    for each, handler in before.items():
        signal.signal(each, handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
