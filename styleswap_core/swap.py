"""The pipeline: find the faces of a picture, swap them for an identity, put them back.

detect -> align to the generator's template -> generator -> blend into the picture, under the generator's own mask.
Only the regions of swapped faces are ever converted or written, so the rest of a picture keeps its exact values, and
a large picture costs little more than a small one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .blending import feather_mask, grow_mask, layer_for_mask
from .errors import StyleSwapError
from .faces.alignment import crop_box, estimate_similarity, matrix_scale, paste, shift_origin, template_points, warp
from .faces.detected import DetectedFace, FaceAnalyzer, select_faces
from .identity import Identity
from .images import from_uint8, to_uint8
from .model import Generator, GeneratorOutput

SYNTHETIC_NOTICE = (
    "this demo model knows rendered faces only: on a photograph the result will not look like the source person;"
    " for photographs train on your own pictures (styleswap train) or use a model made from photographs"
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
            the face analysis has another recogniser than the identity.
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
) -> SwapResult:
    """Give faces of a picture, or of a batch of pictures, the identity of the source.

    Args:
        generator: runs on the device it is on.
        target: (H, W, 3) uint8 RGB, or (B, 3, H, W) float -1..1.
        identity: whose face to give; made with the recogniser that the generator was trained with.
        faces: "largest", "all", or indices in `order`, as "0,2" or [0, 2].
        order: how the faces of a picture are numbered, see `faces.detected.FACE_ORDERS`.
        metadata: the generator's metadata from its checkpoint; decides on `notice`.
        generator_sha256: of the generator's checkpoint; needed for an identity with `w_plus`, which fits it alone.
        rendered: the target is known to be a picture of the face world, so that a demo model needs no notice.
        strength: 1 gives the source's identity, 0 the target's own (the face as the generator draws it), values between
            mix the two. Below 1 the face analysis must have the recogniser that made the identity.
        mask_grow: pixels of the aligned crop by which the swapped region grows (shrinks if negative).
        mask_feather: pixels of the aligned crop over which its outline softens.
        batch_size: faces that run through the generator at once.
    Raises:
        StyleSwapError: no face anywhere, an index that is not there, an identity that does not fit the generator, or a
            strength that is out of range or cannot be had.
    """
    _check_identity(generator, identity, generator_sha256)
    _check_strength(strength, analyzer, identity)
    canvas = _Canvas(target)
    chosen = _choose(canvas, analyzer, faces, order)
    device = next(generator.parameters()).device
    template = template_points(generator.config.template, generator.config.size)
    points = torch.from_numpy(np.stack([face.points for _, face in chosen])).float()
    matrices = estimate_similarity(points, template)
    for start in range(0, len(chosen), batch_size):
        rows = range(start, min(start + batch_size, len(chosen)))
        crops = torch.cat([canvas.read_crop(chosen[i][0], matrices[i : i + 1], generator.config.size) for i in rows])
        own = None if strength == 1.0 else _own_embeddings(canvas, analyzer, [chosen[i] for i in rows]).to(device)
        output = _generate(generator, crops.to(device), identity, own, strength)
        wanted = feather_mask(grow_mask(output.mask, mask_grow), mask_feather)
        layers = layer_for_mask(output.rgb, crops.to(device), output.mask, wanted).float().cpu()
        masks = wanted.float().cpu()
        for row, i in enumerate(rows):
            canvas.paste(chosen[i][0], layers[row : row + 1], masks[row : row + 1], matrices[i : i + 1])
    reports = _report(canvas, analyzer, chosen, matrices, identity)
    return SwapResult(canvas.image(), canvas.result_mask(), reports, domain_notice(metadata, rendered))


def domain_notice(metadata: Mapping[str, object] | None, rendered: bool = False) -> str | None:
    """What a user has to know about a generator that was trained on rendered faces; None for others.

    Args:
        metadata: of the generator's checkpoint; `domain: synthetic` marks such a generator.
        rendered: the picture is known to be rendered too.
    """
    synthetic = metadata is not None and metadata.get("domain") == "synthetic"
    return SYNTHETIC_NOTICE if synthetic and not rendered else None


class _Canvas:
    """The target pictures and the result that grows on a copy of them; crops always come from the target."""

    def __init__(self, target: np.ndarray | torch.Tensor) -> None:
        self.is_array = isinstance(target, np.ndarray)
        if self.is_array:
            valid = target.dtype == np.uint8 and target.ndim == 3 and target.shape[2] == 3
        else:
            valid = target.is_floating_point() and target.ndim == 4 and target.shape[1] == 3
        if not valid:
            raise StyleSwapError(
                f"expected a target (H, W, 3) uint8 or (B, 3, H, W) float, got {target.dtype} {tuple(target.shape)}"
            )
        self._target = target
        self._result = target.copy() if self.is_array else target.detach().clone()
        self.count = 1 if self.is_array else target.shape[0]
        self.size = tuple(target.shape[:2] if self.is_array else target.shape[2:])
        self._mask = torch.zeros(self.count, 1, *self.size)

    def pixels(self, picture: int, result: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 of the target, or of the result so far."""
        source = self._result if result else self._target
        return source if self.is_array else to_uint8(source[picture : picture + 1])[0]

    def image(self) -> np.ndarray | torch.Tensor:
        """The result so far, as the target came."""
        return self._result

    def result_mask(self) -> torch.Tensor:
        """(1, H, W) for one uint8 picture, else (B, 1, H, W)."""
        return self._mask[0] if self.is_array else self._mask

    def read_crop(self, picture: int, matrix: torch.Tensor, size: int) -> torch.Tensor:
        """The aligned crop (1, 3, size, size) of the target."""
        # Beyond the crop's own outline, antialiasing and interpolation reach about one crop pixel.
        margin = math.ceil(2.0 / float(matrix_scale(matrix))) + 2
        box = crop_box(matrix, size, self.size, margin)
        region = self._read(self._target, picture, box)
        return warp(region, shift_origin(matrix, box[:, :2]), size)

    def paste(self, picture: int, layer: torch.Tensor, mask: torch.Tensor, matrix: torch.Tensor) -> None:
        """Blend a layer (1, 3, S, S) into the result under a mask (1, 1, S, S)."""
        box = crop_box(matrix, layer.shape[-1], self.size)
        x0, y0, x1, y1 = box[0].tolist()
        region = self._read(self._result, picture, box)
        blended, weight = paste(region, layer.to(region), shift_origin(matrix, box[:, :2]), mask.to(region))
        if self.is_array:
            self._result[y0:y1, x0:x1] = to_uint8(blended)[0]
        else:
            self._result[picture, :, y0:y1, x0:x1] = blended[0].to(self._result.dtype)
        part = self._mask[picture, :, y0:y1, x0:x1]
        torch.maximum(part, weight[0], out=part)

    def _read(self, source: np.ndarray | torch.Tensor, picture: int, box: torch.Tensor) -> torch.Tensor:
        x0, y0, x1, y1 = box[0].tolist()
        if self.is_array:
            return from_uint8(source[y0:y1, x0:x1])
        return source[picture : picture + 1, :, y0:y1, x0:x1].to("cpu", torch.float32)


def _choose(
    canvas: _Canvas, analyzer: FaceAnalyzer, faces: str | Sequence[int], order: str
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


def _generate(
    generator: Generator, crops: torch.Tensor, identity: Identity, own: torch.Tensor | None, strength: float
) -> GeneratorOutput:
    """Run the generator on crops (B, 3, S, S); `own` (B, 512), the targets' embeddings, if strength is below 1."""
    batch = len(crops)
    source = identity.id_embedding.to(crops).expand(batch, -1)
    if identity.w_plus is None:
        # Between two unit vectors, and normalised again: what the mapping was trained on.
        mixed = source if own is None else F.normalize(torch.lerp(own, source, strength), dim=1)
        return generator(crops, mixed)
    w_plus = identity.w_plus.to(crops).expand(batch, -1, -1)
    if own is not None:
        w_plus = torch.lerp(generator.broadcast(generator.mapping(own)), w_plus, strength)
    return generator.synthesis(w_plus, generator.encode(crops), crops)


def _own_embeddings(canvas: _Canvas, analyzer: FaceAnalyzer, chosen: list[tuple[int, DetectedFace]]) -> torch.Tensor:
    """(B, 512) of the target's faces as they are."""
    return torch.from_numpy(np.stack([_own_embedding(canvas, analyzer, *place) for place in chosen])).float()


def _own_embedding(canvas: _Canvas, analyzer: FaceAnalyzer, picture: int, face: DetectedFace) -> np.ndarray:
    return analyzer.embed(canvas.pixels(picture), face.points) if face.id_embedding is None else face.id_embedding


def _report(
    canvas: _Canvas,
    analyzer: FaceAnalyzer,
    chosen: list[tuple[int, DetectedFace]],
    matrices: torch.Tensor,
    identity: Identity,
) -> list[SwappedFace]:
    comparable = _is_recognizer(identity, analyzer)
    source = identity.id_embedding.numpy()
    scales = matrix_scale(matrices).tolist()
    reports = []
    for (picture, face), matrix, scale in zip(chosen, matrices, scales, strict=True):
        before = after = None
        if comparable:
            before = float(_own_embedding(canvas, analyzer, picture, face) @ source)
            after = float(analyzer.embed(canvas.pixels(picture, result=True), face.points) @ source)
        reports.append(SwappedFace(picture, face, matrix, scale, before, after))
    return reports


def _check_identity(generator: Generator, identity: Identity, generator_sha256: str) -> None:
    wanted = generator.config.recognizer
    if wanted and wanted not in (identity.recognizer, identity.recognizer_sha256):
        raise StyleSwapError(
            f"this model was trained with the recogniser {wanted!r}, the identity was made with"
            f" {identity.recognizer!r}; extract it with the face analysis pack that belongs to the model"
        )
    if identity.w_plus is not None and identity.generator_sha256 != generator_sha256:
        raise StyleSwapError("this identity was inverted for another model; load that one, or extract the identity anew")


def _check_strength(strength: float, analyzer: FaceAnalyzer, identity: Identity) -> None:
    if not 0.0 <= strength <= 1.0:
        raise StyleSwapError(f"expected a strength from 0 to 1, got {strength}")
    if strength < 1.0 and not _is_recognizer(identity, analyzer):
        raise StyleSwapError(
            f"a strength below 1 needs the recogniser that made the identity ({identity.recognizer!r}), the face"
            f" analysis has {analyzer.recognizer_name!r}; use the pack that the identity was extracted with"
        )


def _is_recognizer(identity: Identity, analyzer: FaceAnalyzer) -> bool:
    if not analyzer.recognizer_name:
        return False
    if identity.recognizer_sha256 and analyzer.recognizer_sha256:
        return identity.recognizer_sha256 == analyzer.recognizer_sha256
    return identity.recognizer == analyzer.recognizer_name
