"""Batches in ComfyUI's layout: pictures of their frames to swap, and the results put together again."""

from collections.abc import Iterator

import numpy as np
import torch

from ..compositing.pixels import NodeFrame
from ..errors import StyleSwapError
from ..io.images import bchw_to_bhwc, over_white, repair
from .face_jobs import stack_crops
from .results import BatchResult, FrameReport, SwapResult

# Maximum number of frames of a batch whose faces are measured, which takes two runs of the recognizer per face.
MEASURED_FRAMES = 16


def check_batch(frames: torch.Tensor) -> None:
    """Check that frames are a batch in ComfyUI's layout.

    Raises:
        StyleSwapError: They are not, or there are none.
    """
    if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
        raise StyleSwapError(
            f"expected frames (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)};"
            " connect a batch of pictures"
        )


def measured_frames(count: int) -> set[int]:
    """Numbers of the frames of a batch whose faces are measured: evenly spaced."""
    return set(np.linspace(0, count - 1, min(count, MEASURED_FRAMES)).round().astype(int).tolist())


def visible_frames(frames: torch.Tensor) -> Iterator[NodeFrame]:
    """The frames (H, W, 3 or 4) of a batch as they are swapped, to look at only."""
    for frame in frames:
        picture = over_white(repair(frame[None])[0][0])
        yield NodeFrame(picture, picture)


class NodeBatch:
    """A batch that is swapped frame by frame, in a copy."""

    def __init__(self, frames: torch.Tensor, result_device: torch.device | str | None) -> None:
        """Make room for the results.

        Args:
            frames: (B, H, W, 3 or 4) float, 0..1; not modified.
            result_device: Device of the results; by default that of `frames`.
        """
        self._frames = frames
        # The caller may be in inference mode, which applies to its thread only; a tensor that another thread writes to
        # must not be an inference tensor.
        with torch.inference_mode(False):
            self._images = torch.empty(frames.shape, dtype=torch.float32, device=result_device or frames.device)
        self._masks = torch.empty(self._images.shape[:3], dtype=torch.float32, device=self._images.device)
        self._crops: list[torch.Tensor] = []
        self._reports: list[FrameReport] = []
        self._repaired: list[int] = []

    def pictures(self) -> Iterator[NodeFrame]:
        """The frames to swap, in order."""
        images = self._images
        for row in range(len(self._frames)):
            part, broken = repair(self._frames[row : row + 1])
            self._repaired.extend(row for _ in broken)
            images[row] = part[0]
            # Faces are pasted in place, on the CPU; into a copy if the result is on another device.
            yield NodeFrame(over_white(part[0]), images[row, ..., :3].cpu())

    def add(self, result: SwapResult) -> None:
        """Take the result of the next frame."""
        row = len(self._reports)
        if self._images.device.type != "cpu":
            self._images[row, ..., :3] = torch.as_tensor(result.image).to(self._images.device)
        self._masks[row] = result.mask
        self._crops += result.crops
        self._reports.append(result.report)

    def result(self, size: int) -> BatchResult:
        """The results of all frames, for a network with crops of this size in pixels."""
        crops = bchw_to_bhwc(stack_crops(self._crops, size)).to(self._images.device)
        return BatchResult(self._images, self._masks, crops, self._reports, self._repaired)
