"""`python -m aum_edge` is the command line."""

import sys

from aum_edge.cli.main import main

sys.exit(main())
