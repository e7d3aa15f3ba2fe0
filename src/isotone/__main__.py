"""`python -m isotone`: the command line, for launchers such as `accelerate launch` and `torchrun`."""

import sys

from isotone.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
