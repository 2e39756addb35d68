"""Location of the files that ship with the package."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"
"""Folder of the demo model, the demo pack and the networks for evaluation."""
