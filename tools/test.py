"""Second command of the README: make `.venv` if needed, then run every check that CI runs."""

from __future__ import annotations

import subprocess
import sys

from environment import ROOT, ensure_environment


def main() -> int:
    """Run tools/check.py; extra arguments go to pytest."""
    python = ensure_environment()
    command = [str(python), str(ROOT / "tools" / "check.py"), *sys.argv[1:]]
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
