"""The pipeline: find the faces of a picture, swap them for an identity, put them back.

detect -> align to the generator's template -> generator -> blend into the picture, under the generator's own mask.
`swap_faces` does all of it for one identity; `frames.py` builds on the same steps for long batches and several people.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..compositing.blending import feather_mask, grow_mask, layer_for_mask
from ..compositing.canvas import Canvas
from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, matrix_scale, template_points
from ..faces.detected import DetectedFace, FaceAnalyzer, select_faces
from ..identities.identity import Identity, is_recognizer, recognizer_words
from ..model import Generator, GeneratorConfig, GeneratorOutput

SYNTHETIC_NOTICE = (
    "this demo model knows rendered faces only: on a photograph the result will not look like the source person;"
    " for photographs train on your own pictures (styleswap train) or use a model made from photographs"
)
STARTING_POINT_NOTICE = (
    "this model was converted as a starting point for training (styleswap train) and cannot swap yet"
)


@dataclass(frozen=True, eq=False)
class SwappedFace:
    """What happened to one face.

    Attributes:
        picture: which picture of the batch it is in.
        face: the detection; its `index` counts within that picture.
        matrix: (2, 3), picture -> aligned crop.
        scale: pixels of the aligned crop per pixel of the picture; above 1 the face is smaller than the generator's.
        similarity_before: cosine of the target's own face to the source identity; None if it cannot be told, because
            the face analysis has another recognizer than the identity.
        similarity: the same for the face in the result.
    """

    picture: int
    face: DetectedFace
    matrix: torch.Tensor
    scale: float
    similarity_before: float | None
    similarity: float | None


@dataclass(frozen=True, eq=False)
class SwapResult:
    """The pipeline's result.

    Attributes:
        image: as the target came: (H, W, 3) uint8, or (B, 3, H, W) float32 -1..1.
        mask: (1, H, W) or (B, 1, H, W) float32 0..1, how much of each pixel is new.
        faces: one entry per swapped face.
        notice: a sentence the user should read, or None.
    """

    image: np.ndarray | torch.Tensor
    mask: torch.Tensor
    faces: list[SwappedFace]
    notice: str | None = None


@dataclass(frozen=True)
class SwapOptions:
    """How faces are swapped.

    Attributes:
        strength: 1 gives the source's identity, 0 the target's own (the face as the generator draws it), values between
            stand between the two in w. Below 1 the face analysis must have the recognizer that made the identity.
        mask_grow: pixels of the aligned crop by which the swapped region grows (shrinks if negative).
        mask_feather: pixels of the aligned crop over which its outline softens.
        batch_size: faces that run through the generator at once.
    """

    strength: float = 1.0
    mask_grow: int = 0
    mask_feather: float = 0.0
    batch_size: int = 8


@dataclass(frozen=True, eq=False)
class FaceJob:
    """One face of one picture, and who it becomes."""

    picture: int
    face: DetectedFace
    identity: Identity


Generate = Callable[[torch.Tensor, Sequence[Identity], torch.Tensor | None, float], GeneratorOutput]
"""crops (B, 3, S, S), B identities, own embeddings (B, 512) or None, strength -> the generator's output, B rows."""


@torch.no_grad()
def swap_faces(
    generator: Generator,
    analyzer: FaceAnalyzer,
    target: np.ndarray | torch.Tensor,
    identity: Identity,
    faces: str | Sequence[int] = "largest",
    *,
    order: str = "largest",
    metadata: Mapping[str, object] | None = None,
    generator_sha256: str = "",
    rendered: bool = False,
    strength: float = 1.0,
    mask_grow: int = 0,
    mask_feather: float = 0.0,
    batch_size: int = 8,
    generate: Generate | None = None,
) -> SwapResult:
    """Give faces of a picture, or of a batch of pictures, the identity of the source.

    Args:
        generator: runs on the device it is on.
        target: (H, W, 3) uint8 RGB, or (B, 3, H, W) float -1..1.
        identity: whose face to give; made with the recognizer that the generator was trained with.
        faces: "largest", "all", or indices in `order`, as "0,2" or [0, 2].
        order: how the faces of a picture are numbered, see `faces.detected.FACE_ORDERS`.
        metadata: the generator's metadata from its checkpoint; decides on `notice`.
        generator_sha256: of the generator's checkpoint; needed for an identity with `w_plus`, which fits it alone.
        rendered: the target is known to be a picture of the face world, so that a demo model needs no notice.
        strength, mask_grow, mask_feather, batch_size: see `SwapOptions`.
        generate: runs the generator; by default as it is. Where one identity meets many pictures, a `baking.BakedFaces` of
            this generator is several times as fast.

    Raises:
        StyleSwapError: no face anywhere, an index that is not there, an identity that does not fit the generator, or a
            strength that is out of range or cannot be had.
    """
    options = SwapOptions(strength, mask_grow, mask_feather, batch_size)
    check_identity(generator.config, identity, generator_sha256)
    check_strength(options.strength, analyzer, identity)
    canvas = Canvas(target)
    jobs = [FaceJob(picture, face, identity) for picture, face in _choose(canvas, analyzer, faces, order)]
    device = next(generator.parameters()).device
    generate = partial(generate_faces, generator) if generate is None else generate
    swap_jobs(canvas, jobs, generate, generator.config, analyzer, options, device)
    reports = [report_face(canvas, analyzer, job, generator.config) for job in jobs]
    return SwapResult(canvas.image(), canvas.result_mask(), reports, domain_notice(metadata, rendered))


@torch.no_grad()
def swap_jobs(
    canvas: Canvas,
    jobs: Sequence[FaceJob],
    generate: Generate,
    config: GeneratorConfig,
    analyzer: FaceAnalyzer,
    options: SwapOptions,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Swap faces of the canvas's pictures into its result, `options.batch_size` at a time, whoever they become.

    Args:
        generate: runs the generator, wherever it is; see `generate_faces`.
        config: of that generator.
        device: where crops are cut and pasted; best the generator's.

    Returns:
        (len(jobs), 3, S, S) float32 -1..1 on the CPU: the swapped aligned crops, in the order of the jobs.
    """
    if not jobs:
        return torch.zeros(0, 3, config.size, config.size)
    matrices = crop_matrices([job.face for job in jobs], config)
    swapped = []
    for start in range(0, len(jobs), options.batch_size):
        part = jobs[start : start + options.batch_size]
        pictures, at = [job.picture for job in part], matrices[start : start + len(part)]
        crops = canvas.read_crops(pictures, at, config.size, device)
        own = None if options.strength == 1.0 else _own_embeddings(canvas, analyzer, part)
        output = generate(crops, [job.identity for job in part], own, options.strength)
        rgb, mask, crops = output.rgb.float(), output.mask.float(), crops.to(output.rgb.device)
        wanted = feather_mask(grow_mask(mask, options.mask_grow), options.mask_feather)
        layers = layer_for_mask(rgb, crops, mask, wanted)
        canvas.paste(pictures, layers, wanted, at)
        swapped.append(torch.lerp(crops, layers, wanted).clamp(-1.0, 1.0).cpu())
    return torch.cat(swapped)


def generate_faces(
    generator: Generator,
    crops: torch.Tensor,
    identities: Sequence[Identity],
    own: torch.Tensor | None = None,
    strength: float = 1.0,
) -> GeneratorOutput:
    """Run the generator on its own device: the one place where the pipeline calls it.

    Args:
        crops: (B, 3, S, S) -1..1, aligned crops of the targets, on any device.
        identities: B identities; one with `w_plus` is taken by that, the others by their embedding.
        own: (B, 512), embeddings of the targets' own faces; needed where strength is below 1.
        strength: where between the two the result stands, in w: 0 is `FC_w` of the target's own embedding, 1 the source.
    """
    at = next(generator.parameters())
    crops = crops.to(at)
    embeddings = torch.stack([identity.id_embedding for identity in identities]).to(at)
    w_plus = generator.broadcast(generator.map_identity(embeddings))
    if any(identity.w_plus is not None for identity in identities):
        rows = [w_plus[i] if who.w_plus is None else who.w_plus.to(at) for i, who in enumerate(identities)]
        w_plus = torch.stack(rows)
    if own is not None:
        w_plus = torch.lerp(generator.broadcast(generator.map_identity(own.to(at))), w_plus, strength)
    return generator.synthesis(w_plus, generator.encode(crops), crops)


def crop_matrices(faces: Sequence[DetectedFace], config: GeneratorConfig) -> torch.Tensor:
    """(len(faces), 2, 3), picture -> the generator's aligned crop."""
    points = torch.from_numpy(np.stack([face.points for face in faces])).float()
    return estimate_similarity(points, template_points(config.template, config.size))


def report_face(
    canvas: Canvas, analyzer: FaceAnalyzer, job: FaceJob, config: GeneratorConfig, measure: bool = True
) -> SwappedFace:
    """What became of a face after `swap_jobs`; `measure` runs the recognizer on it before and after."""
    before = after = None
    if measure and is_recognizer(job.identity, analyzer):
        source = job.identity.id_embedding.numpy()
        before = float(_own_embedding(canvas, analyzer, job) @ source)
        after = float(analyzer.embed(canvas.pixels(job.picture, result=True), job.face.points) @ source)
    matrix = crop_matrices([job.face], config)
    return SwappedFace(job.picture, job.face, matrix[0], float(matrix_scale(matrix)), before, after)


def domain_notice(metadata: Mapping[str, object] | None, rendered: bool = False) -> str | None:
    """What a user has to know about a generator that knows rendered faces only, or is not trained yet; None for others.

    Args:
        metadata: of the generator's checkpoint; `domain: synthetic` or `starting_point: true` marks such a generator.
        rendered: the picture is known to be rendered too.
    """
    if metadata is not None and metadata.get("starting_point"):
        return STARTING_POINT_NOTICE
    synthetic = metadata is not None and metadata.get("domain") == "synthetic"
    return SYNTHETIC_NOTICE if synthetic and not rendered else None


def _choose(
    canvas: Canvas, analyzer: FaceAnalyzer, faces: str | Sequence[int], order: str
) -> list[tuple[int, DetectedFace]]:
    """(picture, face) of every face to swap. In a batch, a picture without a face stays as it is."""
    chosen: list[tuple[int, DetectedFace]] = []
    for picture in range(canvas.count):
        found = analyzer.detect(canvas.pixels(picture), order=order)
        if found:
            chosen += [(picture, face) for face in select_faces(found, faces)]
    if not chosen:
        # Raises: there are no faces to select from.
        select_faces([], faces)
    return chosen


def _own_embeddings(canvas: Canvas, analyzer: FaceAnalyzer, jobs: Sequence[FaceJob]) -> torch.Tensor:
    """(len(jobs), 512) of the target's faces as they are."""
    return torch.from_numpy(np.stack([_own_embedding(canvas, analyzer, job) for job in jobs])).float()


def _own_embedding(canvas: Canvas, analyzer: FaceAnalyzer, job: FaceJob) -> np.ndarray:
    known = job.face.id_embedding
    return analyzer.embed(canvas.pixels(job.picture), job.face.points) if known is None else known


def check_identity(config: GeneratorConfig, identity: Identity, generator_sha256: str) -> None:
    """Raise StyleSwapError unless the generator can take the identity: its recognizer's, and its own `w_plus`."""
    wanted = config.recognizer
    if wanted and wanted not in (identity.recognizer, identity.recognizer_sha256):
        raise StyleSwapError(
            f"this model was trained with the recognizer {recognizer_words(wanted)}, the identity was made with"
            f" {identity.recognizer!r}; extract it with the face analysis pack that belongs to the model"
        )
    if identity.w_plus is not None and identity.generator_sha256 != generator_sha256:
        raise StyleSwapError(
            "this identity was inverted for another model; load that one, or extract the identity anew"
        )


def check_strength(strength: float, analyzer: FaceAnalyzer, identity: Identity) -> None:
    """Raise StyleSwapError for a strength that is out of range, or needs embeddings that the analysis cannot make."""
    if not 0.0 <= strength <= 1.0:
        raise StyleSwapError(f"expected a strength from 0 to 1, got {strength}")
    if strength < 1.0 and not is_recognizer(identity, analyzer):
        raise StyleSwapError(
            f"a strength below 1 needs the recognizer that made the identity ({identity.recognizer!r}), the face"
            f" analysis has {analyzer.recognizer_name!r}; use the pack that the identity was extracted with"
        )
