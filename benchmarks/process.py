"""`costlab compare naive reduced` as a whole process, beside a plain script that uses fvcore.

    python benchmarks/process.py [--rounds 15]

Bytecode caching is on for all three, whatever the environment says.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

from timing import interleaved, nothing, report

SCRIPT = Path(__file__).with_name("plain_fvcore.py")
COMPARE = [sys.executable, "-m", "costlab", "compare", "naive", "reduced"]
COMMANDS = {
    "costlab --no-trace": [*COMPARE, "--no-trace"],
    "costlab with fvcore": COMPARE,
    "plain fvcore script": [sys.executable, str(SCRIPT)],
}


def run(command: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        command,
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times = interleaved(
        {name: (nothing, partial(run, command)) for name, command in COMMANDS.items()}, rounds
    )
    light, traced, plain = (median(runs) for runs in times.values())
    print(report(times, "costlab --no-trace"))
    print(
        f"\nwithout tracing {plain / light:.1f} times faster than the script (target: 12 or more)"
    )
    print(f"with fvcore {traced / plain:.2f} times the script's time (target: 1.15 or less)")


if __name__ == "__main__":
    main()
