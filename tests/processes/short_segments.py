"""The `styleswap` command with segments of 3 frames, so that a short clip has several."""

from dataclasses import replace

from styleswap_core.cli import main
from styleswap_core.commands import clip_runner


def run(words):
    """Run a command."""
    options = clip_runner.clip_options
    clip_runner.clip_options = lambda args: replace(options(args), segment_frames=3)
    return main(words)
