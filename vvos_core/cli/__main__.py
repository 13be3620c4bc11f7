"""``python -m vvos_core.cli`` is ``vvos``."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
