"""Steady colors of a face that is followed through a video.

A swapping network answers to the noise of a camera with slight changes of color that noise itself does not have: large
patches get lighter and darker from frame to frame. What a swap adds to the target changes slowly along a track, whereas
light and motion are in the target itself. So the added color is averaged over the frames around, in the aligned crop,
without its finest detail. Frames in which it is another one, because a hand covers the face or a mouth opens, do not
count (a bilateral filter in time: Tomasi, Manduchi 1998; Bennett, McMillan 2005).
"""

import torch
import torch.nn.functional as F

# Side of the grid on which the added color is compared.
_GRID = 64
# Difference of colors in -1..1, about 8 levels of 255, that noise hardly causes.
_NOISE = 0.06
# Weight of the frame itself where its mask is 0.
_LEAST = 1e-3


class SteadyColors:
    """What swaps add to the frames around the current one, by face."""

    def __init__(self, window: int) -> None:
        """Start without frames.

        Args:
            window: Number of frames before and after that count.
        """
        self.window = window
        self._added: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def add(self, frame: int, face: int, rgb: torch.Tensor, crop: torch.Tensor, mask: torch.Tensor) -> None:
        """Take a face of a frame.

        Args:
            frame: Number of the frame.
            face: Number of the face, the same in all frames.
            rgb: (3, S, S), -1..1, what the network made.
            crop: (3, S, S), -1..1, the target's crop.
            mask: (1, S, S), 0..1, where `rgb` is shown.
        """
        added, shown = (F.adaptive_avg_pool2d(part.float(), _GRID) for part in (rgb - crop, mask))
        self._added[frame, face] = added, shown

    def correction(self, frame: int, face: int, size: int) -> torch.Tensor:
        """What to add to `rgb`, (3, size, size); the frames around must have been added."""
        own, _ = self._added[frame, face]
        total, weights = _LEAST * own, torch.full_like(own[:1], _LEAST)
        for other in range(frame - self.window, frame + self.window + 1):
            if (other, face) not in self._added:
                continue
            added, shown = self._added[other, face]
            alike = torch.exp((added - own).square().mean(0, keepdim=True) / (-2.0 * _NOISE**2))
            weight = (self.window + 1 - abs(other - frame)) * shown * alike
            total, weights = total + weight * added, weights + weight
        change = total / weights - own
        return F.interpolate(change[None], (size, size), mode="bilinear", align_corners=False)[0]

    def forget(self, before: int) -> None:
        """Forget frames that are before this one."""
        self._added = {key: value for key, value in self._added.items() if key[0] >= before}
