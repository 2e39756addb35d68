"""Families of foreign swapping networks: what goes into their files and what comes out.

The values are those that facefusion (processors/modules/face_swapper and deep_swapper), insightface (INSwapper) and
ReSwapper (face_align.py) use.
"""

from dataclasses import dataclass
from enum import Enum

from ..errors import StyleSwapError
from ..faces.alignment import opencv_template
from ..faces.recognizer_id import RecognizerId

ARCFACE = RecognizerId("w600k_r50")
"""Recognizer of insightface's pack buffalo_l, whose embeddings all guests take."""

EMBEDDING_LENGTH = 512

Channels = tuple[float, float, float]

_HALF: Channels = (0.5, 0.5, 0.5)
_ZERO: Channels = (0.0, 0.0, 0.0)
_ONE: Channels = (1.0, 1.0, 1.0)
_IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Channels = (0.229, 0.224, 0.225)


class Source(Enum):
    """What a network takes as the source person."""

    EMBEDDING = "the embedding, L2-normalized"
    EMAP = "the embedding times a matrix, L2-normalized"
    CONVERTED = "the raw embedding through a converter network"
    PORTRAIT = "a picture of the face"
    NONE = "nothing: the person is inside the network"

    @property
    def is_vector(self) -> bool:
        """Whether the network takes 512 numbers."""
        return self in (Source.EMBEDDING, Source.EMAP, Source.CONVERTED)


@dataclass(frozen=True)
class GuestFamily:
    """A family of foreign swapping networks.

    Attributes:
        name: Its name, by which a user chooses it.
        maker: Who published it.
        license: Its license, as a phrase.
        template: Crop template of the target.
        source: What it takes as the source person.
        sizes: Sides of the crop in pixels of its published files; empty if they have any.
        half_pixel_of: Side of the crop to which the half pixel of OpenCV's pixel centers belongs; 0 for the file's own.
        mean: Subtracted from the target, 0..1.
        deviation: Divides the target.
        out_scale: Multiplies the result.
        out_shift: Added to the result, which is then 0..1.
        converter: File of the converter network.
        converted_norm: Whether the converter's output is L2-normalized.
        portrait: Template and side of the source picture.
        has_mask: Whether it has masks among its outputs.
        bgr_last: Whether its pictures are BGR with the channels last, instead of RGB with the channels first.
        spellings: Parts of the names of its files, lower case, words separated by underscores.
    """

    name: str
    maker: str
    license: str
    template: str
    source: Source
    sizes: tuple[int, ...] = ()
    half_pixel_of: int = 0
    mean: Channels = _ZERO
    deviation: Channels = _ONE
    out_scale: float = 1.0
    out_shift: float = 0.0
    converter: str = ""
    converted_norm: bool = True
    portrait: tuple[str, int] = ("", 0)
    has_mask: bool = False
    bgr_last: bool = False
    spellings: tuple[str, ...] = ()

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if it takes none."""
        return ARCFACE if self.source.is_vector else RecognizerId()

    def crop_template(self, size: int) -> str:
        """Template of its target crops, for `alignment.template_points`, for a file of `size` pixels."""
        return opencv_template(self.template, self.half_pixel_of or size)

    def portrait_template(self) -> str:
        """Template of its source picture, for `alignment.template_points`."""
        return opencv_template(*self.portrait)


FAMILIES: dict[str, GuestFamily] = {
    family.name: family
    for family in (
        GuestFamily(
            name="inswapper",
            maker="InsightFace",
            license="non-commercial",
            template="arcface_128",
            source=Source.EMAP,
            sizes=(128,),
            spellings=("inswapper",),
        ),
        GuestFamily(
            name="reswapper",
            maker="somanchiu",
            license="that of its repository, github.com/somanchiu/ReSwapper",
            template="arcface_128",
            source=Source.EMAP,
            sizes=(128, 256),
            # ReSwapper shifts the template of larger crops so that they show exactly what a crop of 128 px shows.
            half_pixel_of=128,
            spellings=("reswapper",),
        ),
        GuestFamily(
            name="hyperswap",
            maker="FaceFusion",
            license="ResearchRAIL (research, with restrictions on use)",
            template="arcface_128",
            source=Source.EMBEDDING,
            sizes=(256,),
            mean=_HALF,
            deviation=_HALF,
            out_scale=0.5,
            out_shift=0.5,
            has_mask=True,
            spellings=("hyperswap",),
        ),
        GuestFamily(
            name="ghost",
            maker="ai-forever",
            license="Apache-2.0",
            template="arcface_112_v1",
            source=Source.CONVERTED,
            sizes=(256,),
            mean=_HALF,
            deviation=_HALF,
            out_scale=0.5,
            out_shift=0.5,
            converter="crossface_ghost.onnx",
            converted_norm=False,
            spellings=("ghost",),
        ),
        GuestFamily(
            name="simswap",
            maker="neuralchen",
            license="non-commercial",
            template="arcface_112_v1",
            source=Source.CONVERTED,
            sizes=(256,),
            mean=_IMAGENET_MEAN,
            deviation=_IMAGENET_DEVIATION,
            converter="crossface_simswap.onnx",
            spellings=("simswap",),
        ),
        GuestFamily(
            name="simswap_unofficial",
            maker="neuralchen",
            license="non-commercial",
            template="arcface_112_v1",
            source=Source.CONVERTED,
            sizes=(512,),
            converter="crossface_simswap.onnx",
            spellings=("simswap_unofficial", "simswap"),
        ),
        GuestFamily(
            name="hififace",
            maker="GuijiAI",
            license="unknown",
            template="mtcnn_512",
            source=Source.CONVERTED,
            sizes=(256,),
            mean=_HALF,
            deviation=_HALF,
            out_scale=0.5,
            out_shift=0.5,
            converter="crossface_hififace.onnx",
            spellings=("hififace",),
        ),
        GuestFamily(
            name="blendswap",
            maker="mapooon",
            license="non-commercial",
            template="ffhq_512",
            source=Source.PORTRAIT,
            sizes=(256,),
            portrait=("arcface_112_v2", 112),
            spellings=("blendswap",),
        ),
        GuestFamily(
            name="uniface",
            maker="xc-csc101",
            license="unknown",
            template="ffhq_512",
            source=Source.PORTRAIT,
            sizes=(256,),
            mean=_HALF,
            deviation=_HALF,
            out_scale=0.5,
            out_shift=0.5,
            portrait=("ffhq_512", 256),
            spellings=("uniface",),
        ),
        GuestFamily(
            name="dfm",
            maker="whoever trained it",
            license="that of whoever trained it",
            template="dfl_whole_face",
            source=Source.NONE,
            has_mask=True,
            bgr_last=True,
        ),
    )
}
"""The families by name."""

FAMILY_NAMES = tuple(FAMILIES)


def find_family(name: str) -> GuestFamily:
    """Family of a name.

    Raises:
        StyleSwapError: An unknown name.
    """
    if name not in FAMILIES:
        raise StyleSwapError(f"expected a family out of {', '.join(FAMILY_NAMES)}, got {name!r}")
    return FAMILIES[name]
