"""The `styleswap` command with segments of 3 frames, so that a short clip has several, and progress at each frame."""

from dataclasses import replace
from functools import partialmethod

from tqdm import tqdm

from styleswap_core.cli import main
from styleswap_core.commands import clip_runner


def run(words):
    """Run a command."""
    options = clip_runner.clip_options
    clip_runner.clip_options = lambda args: replace(options(args), segment_frames=3)
    tqdm.__init__ = partialmethod(tqdm.__init__, mininterval=0)
    return main(words)
