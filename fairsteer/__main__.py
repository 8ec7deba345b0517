"""Run the command line by ``python -m fairsteer``."""

import sys

from fairsteer.commands._main import main

if __name__ == "__main__":
    sys.exit(main())
