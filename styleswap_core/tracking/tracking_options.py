"""Settings of the tracking of faces."""

from dataclasses import dataclass

from ..errors import StyleSwapError

MAX_INTERVAL = 30
MAX_SMOOTHING = 10.0


@dataclass(frozen=True)
class TrackingOptions:
    """Settings of the tracking of faces.

    Attributes:
        detection_interval: Maximum number of frames from one detection to the next; between them faces are followed by
            optical flow. It is shortened where faces move fast.
        smoothing: Over how many frames, forwards and backwards, the detector's noise is averaged along the motion of
            the face, and the colors that a swap adds to it; 0 takes points and colors as they are found.
        bridge: Maximum number of frames for which a face is followed that the detector does not find.

    Raises:
        StyleSwapError: A value out of range.
    """

    detection_interval: int = 4
    smoothing: float = 4.0
    bridge: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.detection_interval <= MAX_INTERVAL:
            raise StyleSwapError(
                f"expected a detection interval from 1 to {MAX_INTERVAL} frames, got {self.detection_interval}"
            )
        if not 0.0 <= self.smoothing <= MAX_SMOOTHING:
            raise StyleSwapError(f"expected a smoothing from 0 to {MAX_SMOOTHING:g} frames, got {self.smoothing}")
        if self.bridge < 0:
            raise StyleSwapError(f"expected a bridge of 0 frames or more, got {self.bridge}")
