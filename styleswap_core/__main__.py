"""`python -m styleswap_core`: the `styleswap` command where the package is not installed.

Also `python FOLDER` with the path of this folder, for the Python of ComfyUI's portable build for Windows, which imports
nothing from the working directory.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    if __package__:
        from .cli import main

        sys.exit(main())
    folder = Path(__file__).resolve().parent
    # Not this folder itself, whose modules have names that other packages use, too.
    sys.path[0] = str(folder.parent)
    runpy.run_module(folder.name, run_name="__main__", alter_sys=True)
