"""The swapping pipeline: detect faces, choose, swap and paste them, in a picture, a batch or a stream of frames.

One code path serves all three. There is one result per frame, in order; frames are independent of each other; and
memory beyond the results does not grow with the number of frames.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from ..compositing.frame_masks import CHOSEN, FrameMasks, Masks
from ..compositing.pixels import Picture, pixels_of
from ..compositing.steady_colors import SteadyColors
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.choice import Faces as Faces
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..io.read_ahead import read_ahead
from ..masking.face_masks import FaceMasks
from ..swappers.network import SwappingNetwork, check_identity
from ..tracking.tracking_options import TrackingOptions
from .empty_frames import EmptyFrames
from .face_jobs import FaceRenderer, check_options
from .frame_faces import AnalyzedFrame, FrameFaces
from .frame_requests import FrameRequest, analyze_frame
from .frame_stream import FrameStream
from .node_batches import NodeBatch, check_batch, measured_frames, visible_frames
from .results import BatchResult, SwapResult
from .swap_options import SwapOptions
from .tracked_faces import FaceFollower, TrackedFaces

if TYPE_CHECKING:
    from ..faces.landmarks import LandmarkModel


def _ignore(frame: int) -> None:
    """Do nothing; the default of `on_frame`."""


def _no_frame(frame: int) -> bool:
    return False


class Swapper:
    """A swapping network together with the face analysis that feeds it.

        swapper = Swapper(load_model(), load_face_analysis())
        result = swapper.swap(picture, identity)

    Attributes:
        model: The swapping network.
        analysis: The face analysis.
        options: Defaults for every call.
        masks: Masks that replace a missing mask of the network and limit an existing one; None to use the network's.
        crop_device: Device on which crops are cut and pasted.
        background_detection: Whether the next frames are analyzed in a thread while the network runs.
    """

    def __init__(
        self,
        model: SwappingNetwork,
        analysis: FaceAnalyzer,
        options: SwapOptions | None = None,
        *,
        masks: FaceMasks | None = None,
        crop_device: torch.device | str | None = None,
        background_detection: bool | None = None,
    ) -> None:
        """Combine a model with a face analysis.

        Args:
            model: A swapping network, such as `load_model` returns.
            analysis: A face analysis, such as `load_face_analysis` returns.
            options: Defaults for every call.
            masks: Masks that replace a missing mask of the network and limit an existing one. By default, a network
                without a mask gets the outline of the face (see `FaceMasks`).
            crop_device: By default that of the model if it is an NVIDIA or AMD GPU, to which only the regions of faces
                travel, and from which only finished pixels come back; otherwise the CPU.
            background_detection: By default only if the model does not run on the CPU, where both would compete for
                cores (docs/benchmarks).
        """
        self.model = model
        self.analysis = analysis
        self.options = SwapOptions() if options is None else options
        if masks is None and not model.has_mask:
            masks = FaceMasks()
        # Called when a mask needs landmarks, since loading them takes time.
        self.masks = None if masks is None else masks.with_landmarks(partial(_landmark_model, analysis))
        # Other accelerators lack some of the sampling modes.
        place = "cpu" if model.device.type != "cuda" else model.device
        self.crop_device = torch.device(place if crop_device is None else crop_device)
        self.background_detection = model.device.type != "cpu" if background_detection is None else background_detection

    def swap(
        self,
        picture: Picture,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = True,
        keep: torch.Tensor | None = None,
        only_in: torch.Tensor | None = None,
    ) -> SwapResult:
        """Swap faces of one picture.

        Args:
            picture: (H, W, 3) uint8 RGB, or (3, H, W) float, -1..1; not modified.
            identity: Source identity for all chosen faces, or several: the k-th for place k of the choice, or in turn,
                see `FaceChoice.in_turn`.
            faces: Faces to swap, see `Faces`.
            options: Override those of the swapper.
            strict: Whether a requested face that is missing is an error instead of a problem in the report.
            keep: (h, w), 0..1: 1 where the picture stays as it is, such as hands or hair; scaled to the picture.
            only_in: (h, w), 0..1, scaled to the picture: only faces in this mask count, see `faces.choice.lies_in`.

        Raises:
            StyleSwapError: The picture is invalid, an identity does not fit the model, the strength is out of range or,
                if `strict`, a requested face is missing.
        """
        request = self._request(identity, faces, options, strict, keep, only_in, 1)
        analyzed = analyze_frame(self.analysis, 0, picture, request)
        if strict and analyzed.faces.problems:
            raise StyleSwapError(analyzed.faces.advice())
        (result,) = self._frames.swap([analyzed], request.options, lambda frame: True)
        return result

    def swap_detected(
        self, picture: Picture, faces: Sequence[tuple[DetectedFace, Identity]], *, options: SwapOptions | None = None
    ) -> SwapResult:
        """Swap faces that are already detected, without measuring their similarity.

        Args:
            picture: As for `swap`.
            faces: The faces, each with the identity that it gets.
            options: Override those of the swapper.
        """
        options = options or self.options
        for _, identity in faces:
            self._check(identity, options)
        (result,) = self._frames.swap(
            [AnalyzedFrame(0, picture, FrameFaces(list(faces), len(faces)))], options, _no_frame
        )
        return result

    def swap_frames(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = False,
        on_frame: Callable[[int], None] = _ignore,
        measured: Callable[[int], bool] = _no_frame,
        keep: Masks = None,
        only_in: Masks = None,
    ) -> Iterator[SwapResult]:
        """Swap faces in a stream of frames, such as those of a video; yields one result per frame, in order.

        The next frames are fetched in a thread while the network runs, and analyzed there if `background_detection`. At
        most `options.batch_size` frames and `frame_stream.MAX_BUFFERED_PIXELS` are buffered. Closing the iterator early
        ends the thread.

        Args:
            frames: Iterable of pictures of any sizes, as for `swap`, or a batch (B, 3, H, W) float, -1..1; consumed in
                another thread, not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: Override those of the swapper.
            strict: Whether a requested face that cannot be swapped is an error instead of a problem in the report.
            on_frame: Called with the number of each frame, in the caller's thread, before it is swapped; an exception
                ends the run.
            measured: Whether to report the faces' similarity to the source, by the number of the frame.
            keep: As for `swap`, or (N, h, w) or an iterable of (h, w) with one mask for each frame.
            only_in: As for `swap`, with masks as for `keep`.

        Raises:
            StyleSwapError: As for `swap`. Errors of the arguments are raised immediately, errors of a frame when it is
                reached.
        """
        request = self._request(identity, faces, options, strict, keep, only_in)
        return self._stream(frames, request, on_frame, measured)

    def track(
        self,
        frames: Iterable[Picture],
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        tracking: TrackingOptions | None = None,
        options: SwapOptions | None = None,
        on_frame: Callable[[int], None] = _ignore,
        only_in: Masks = None,
    ) -> TrackedFaces:
        """Follow the faces of a video, so that `swap_tracked` swaps them steadily, each as one person throughout.

        Args:
            frames: All frames of the video, of one size.
            identity: As for `swap`.
            faces: As for `swap`; who a face becomes is decided for its whole track, by the frames that choose it.
            tracking: Settings.
            options: Override those of the swapper.
            on_frame: Called with the number of each frame; an exception ends the work.
            only_in: As for `swap_frames`; a face counts for its whole track if it does in most frames.

        Raises:
            StyleSwapError: As for `swap_frames`, or the frames differ in size.
        """
        request = self._request(identity, faces, options, False, None, only_in)
        return self._track(frames, request, tracking or TrackingOptions(), on_frame)

    def swap_tracked(
        self,
        frames: Iterable[Picture],
        tracked: TrackedFaces,
        *,
        first: int = 0,
        options: SwapOptions | None = None,
        on_frame: Callable[[int], None] = _ignore,
        measured: Callable[[int], bool] = _no_frame,
        keep: Masks = None,
    ) -> Iterator[SwapResult]:
        """Swap the faces that `track` followed.

        Args:
            frames: The frames that were tracked, or those from `first` on.
            tracked: What `track` returned, for the same identities and options.
            first: Number of the first of these frames in the video.
            options: As for `swap_frames`.
            on_frame: As for `swap_frames`, with numbers from 0.
            measured: As for `swap_frames`, with numbers from 0.
            keep: As for `swap_frames`.
        """
        request = FrameRequest((), FaceChoice(), options or self.options, False, FrameMasks(keep))
        return self._swap_known(frames, tracked, request, first, on_frame, measured)

    def swap_batch(
        self,
        frames: torch.Tensor,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = False,
        on_frame: Callable[[int], None] = _ignore,
        result_device: torch.device | str | None = None,
        keep: torch.Tensor | None = None,
        only_in: torch.Tensor | None = None,
        tracking: TrackingOptions | None = None,
    ) -> BatchResult:
        """Swap faces in a batch in ComfyUI's layout.

        Args:
            frames: (B, H, W, 3 or 4) float, 0..1, on any device; not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: Override those of the swapper.
            strict: As for `swap_frames`.
            on_frame: As for `swap_frames`; if faces are followed, called twice for each frame, first while they are.
            result_device: Device of the result; by default that of `frames`.
            keep: As for `swap_frames`.
            only_in: As for `swap_frames`, or for `track`.
            tracking: Follow the faces as `track` does; None swaps each frame independently.

        Raises:
            StyleSwapError: `frames` is empty or has the wrong shape, or as for `swap_frames`.
        """
        request = self._request(identity, faces, options, strict, keep, only_in, len(frames))
        check_batch(frames)
        batch, measured = NodeBatch(frames, result_device), measured_frames(len(frames))
        tracked = None if tracking is None else self._track(visible_frames(frames), request, tracking, on_frame)
        for result in self._stream(batch.pictures(), request, on_frame, measured.__contains__, tracked):
            batch.add(result)
        return batch.result(self.model.size)

    def _request(
        self,
        identity: Identity | Sequence[Identity],
        faces: Faces,
        options: SwapOptions | None,
        strict: bool,
        keep: Masks = None,
        only_in: Masks = None,
        frames: int | None = None,
    ) -> FrameRequest:
        identities = (identity,) if isinstance(identity, Identity) else tuple(identity)
        choice = faces if isinstance(faces, FaceChoice) else FaceChoice.parse(faces)
        options = options or self.options
        if not identities:
            raise StyleSwapError("expected at least one source identity, got none")
        for one in identities:
            self._check(one, options)
        people, references = len(identities), len(choice.references)
        if choice.rule == "by likeness" and people > 1 and people != references:
            raise StyleSwapError(
                f"expected one identity, or one for each of the {references} references, got {people}; pass as many"
                " identities as references"
            )
        kept, counted = FrameMasks(keep, frames), FrameMasks(only_in, frames, CHOSEN)
        return FrameRequest(identities, choice, options, strict, kept, counted)

    def _check(self, identity: Identity, options: SwapOptions) -> None:
        check_identity(self.model, identity, self.analysis.recognizer)
        check_options(options, self.analysis, identity)

    @property
    def _frames(self) -> FrameStream:
        renderer = FaceRenderer(self.model, self.analysis, self.crop_device, self.masks)
        return FrameStream(renderer, self.background_detection)

    def _stream(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        request: FrameRequest,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
        tracked: TrackedFaces | None = None,
    ) -> Iterator[SwapResult]:
        if tracked is not None:
            return self._swap_known(frames, tracked, request, 0, on_frame, measured)
        empty = EmptyFrames(request.options.swap_doubtful)
        analyze = partial(analyze_frame, self.analysis, request=request, empty=empty)
        return self._frames.run(frames, analyze, request, on_frame, measured)

    def _track(
        self,
        frames: Iterable[Picture],
        request: FrameRequest,
        tracking: TrackingOptions,
        on_frame: Callable[[int], None],
    ) -> TrackedFaces:
        follower = FaceFollower(self.analysis, request, tracking)
        with read_ahead(frames, depth=2) as ahead:
            for number, frame in enumerate(ahead):
                on_frame(number)
                follower.add(frame)
        return follower.finish()

    def _swap_known(
        self,
        frames: Iterable[Picture],
        tracked: TrackedFaces,
        request: FrameRequest,
        first: int,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
    ) -> Iterator[SwapResult]:
        def analyze(number: int, frame: Picture) -> AnalyzedFrame:
            kept = request.keep.of_frame(number, pixels_of(frame).size)
            return AnalyzedFrame(number, frame, tracked.of_frame(first + number), kept)

        steady = SteadyColors(tracked.color_window) if tracked.color_window else None
        return self._frames.run(frames, analyze, request, on_frame, measured, steady)


def _landmark_model(analysis: FaceAnalyzer) -> "LandmarkModel | None":
    return analysis.landmark_model()
