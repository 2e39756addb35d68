"""A preparation that a test starts and kills."""

from pathlib import Path

from styleswap_core.preparation import prepare as preparation
from styleswap_core.preparation.preparation_settings import PreparationSettings

SETTINGS = PreparationSettings(
    size=64,
    min_side=30,
    shard_pictures=5,
    max_yaw=80,
    max_pitch=80,
    max_outside=0.5,
    min_score=0.5,
    duplicate_distance=-1,
)


def run(words):
    """Prepare IN_DIR OUT WORKERS."""
    # Commit after every few pictures, since the killed runs are short.
    preparation._COMMIT_SECONDS = 0.3
    preparation.prepare(Path(words[0]), Path(words[1]), SETTINGS, int(words[2]))
