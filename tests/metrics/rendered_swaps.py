"""Files of pictures and videos of the face world: sources, targets, and exact swaps in place of a program's results."""

from pathlib import Path

import cv2
import numpy as np
import torch

from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

SIZE = 160
PEOPLE = IDENTITY_SEEDS["test"][:3]
# Nearly frontal and without occlusion, so that the detector of the demo pack finds every face.
PLAIN = {"yaw": 6.0, "pitch": 0.0, "glasses": 0.0, "occluder": 0.0}


def pictures(people, settings, body=None):
    """Pictures (N, SIZE, SIZE, 3) uint8 of people; with `body`, the people in the targets, exact swaps onto them."""
    attributes = Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][i] for i in settings], **PLAIN)
    body = None if body is None else Identities.from_seeds(body)
    return to_uint8(render(Identities.from_seeds(people), attributes, size=SIZE, body=body).image)


def write_pairs(folder: Path) -> None:
    """Write sourceN.png, targetN.png and exactN.png for each person N; person N + 1 is swapped onto target N."""
    count = len(PEOPLE)
    others = [PEOPLE[(i + 1) % count] for i in range(count)]
    shown = {
        "source": pictures(others, range(count)),
        "target": pictures(PEOPLE, range(10, 10 + count)),
        "exact": pictures(others, range(10, 10 + count), body=PEOPLE),
    }
    for name, batch in shown.items():
        for i, picture in enumerate(batch):
            save_image(folder / f"{name}{i}.png", picture)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Write RGB frames as an MPEG-4 video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (frames.shape[2], frames.shape[1]))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def nods(person: int, body: int | None = None, count: int = 4) -> np.ndarray:
    """Frames of one person who turns the head; `body` as for `pictures`."""
    turns = torch.linspace(-8, 8, count).tolist()
    frames = []
    for yaw in turns:
        attributes = Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][20]], **{**PLAIN, "yaw": yaw})
        owner = None if body is None else Identities.from_seeds([body])
        frames.append(to_uint8(render(Identities.from_seeds([person]), attributes, size=SIZE, body=owner).image)[0])
    return np.stack(frames)
