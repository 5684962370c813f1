"""`python -m tests.bench` (make bench) and `--long` (make bench-long): figures in tables, ratios within one run.

The exit code is 1 only when a stated ratio is missed. Absolute figures say something about this machine alone.
"""

from __future__ import annotations

import sys

from tests.bench import at_once, live, one_click


def main(arguments: list[str]) -> int:
    """Measure everything; the names of single parts may be given."""
    long = "--long" in arguments
    parts = {
        "click": lambda: one_click.measure(30 if long else 9),
        "crowd": lambda: at_once.measure(1000 if long else 100),
        "live": lambda: live.main() == 0,
    }
    wanted = [name for name in arguments if name != "--long"] or list(parts)
    kept = [parts[name]() for name in wanted]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
