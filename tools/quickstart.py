"""First command of the README: make `.venv`, then run the main job on built-in data."""

from __future__ import annotations

import subprocess
import sys

from environment import ROOT, ensure_environment


def main() -> int:
    """Run `recipes/quickstart.yaml`; extra arguments go to `aum-edge run`."""
    python = ensure_environment()
    recipe = ROOT / "recipes" / "quickstart.yaml"
    command = [str(python), "-m", "aum_edge", "run", str(recipe), *sys.argv[1:]]
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
