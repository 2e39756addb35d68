"""`python -m styleswap_core`: the `styleswap` command where only ComfyUI is installed."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
