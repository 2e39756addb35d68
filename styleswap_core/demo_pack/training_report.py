"""Report of a training, written beside the network that it made."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from ..io.files import atomic_write


def write_report(
    network: Path, config: Mapping[str, object], report: Mapping[str, object], omit: Collection[str]
) -> None:
    """Write settings and figures as JSON beside a network's file, with the suffix `.json`.

    Args:
        network: File of the network.
        config: Settings of the training.
        report: Figures of the training.
        omit: Settings to leave out, such as paths, which say nothing about the result.
    """
    settings = {name: value for name, value in config.items() if name not in omit}
    with atomic_write(network.with_suffix(".json")) as temporary:
        text = json.dumps({"config": settings, "report": dict(report)}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
