"""`costlab compare naive reduced` as a whole process, beside a plain script that uses fvcore.

    python benchmarks/process.py [--rounds 15]

Every process runs in the same environment, with bytecode caching on, after one untimed round.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

from timing import Contender, interleaved, rounds, table

SCRIPT = Path(__file__).with_name("plain_fvcore.py")
CONSOLE = Path(sys.executable).with_name("costlab")
COSTLAB = [str(CONSOLE)] if CONSOLE.exists() else [sys.executable, "-m", "costlab"]
COMMANDS = {
    "costlab --no-trace": [*COSTLAB, "compare", "naive", "reduced", "--no-trace"],
    "costlab": [*COSTLAB, "compare", "naive", "reduced"],
    "plain fvcore": [sys.executable, str(SCRIPT)],
}
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def run(command: list[str]) -> int:
    """Exit code of the command, which writes to nowhere."""
    null = subprocess.DEVNULL
    return subprocess.run(
        command, check=False, env=ENVIRONMENT, stdout=null, stderr=null
    ).returncode


def main() -> None:
    count = rounds(__doc__)
    print(f"{count} rounds; bytecode caching on for all; costlab is: {' '.join(COSTLAB)}\n")
    for name, command in COMMANDS.items():
        if code := run(command):
            print(f"{name} fails with {code}, so nothing is timed: {' '.join(command)}")
            return
    times = interleaved({k: Contender(partial(run, v)) for k, v in COMMANDS.items()}, count)
    print(table(times, "plain fvcore"))
    light, traced, plain = (median(runs) for runs in times.values())
    print(
        f"\n--no-trace is {plain / light:.1f} times faster than plain fvcore (target: 12 or more)"
    )
    print(f"with fvcore it takes {traced / plain:.2f} times plain fvcore (target: 1.15 or less)")


if __name__ == "__main__":
    main()
