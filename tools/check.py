"""Every check in one command: format, lint, types, then the tests. Runs inside `.venv`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS: dict[str, list[str]] = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "tests": ["pytest"],
}


def main() -> int:
    """Run the steps in order, stop at the first that fails; extra arguments go to pytest."""
    for name, step in STEPS.items():
        extra = sys.argv[1:] if name == "tests" else []
        print(f"== {name}: {' '.join(step + extra)}", flush=True)
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-m", *step, *extra], cwd=ROOT, check=False)
        if done.returncode != 0:
            print(f"== {name} failed after {time.monotonic() - start:.0f} s", flush=True)
            return done.returncode
        print(f"== {name}: good, {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
