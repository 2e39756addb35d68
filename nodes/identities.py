"""Extract ArcFace ID, Identity List, Blend Identities, Compare Identity."""

from collections.abc import Sequence

import torch
from comfy_api.latest import io, ui

from ..styleswap_core.faces.choice import FaceChoice, parse_numbers
from ..styleswap_core.faces.detected import FaceAnalyzer
from ..styleswap_core.identities.averaging import blend_identities, cosine_similarity
from ..styleswap_core.identities.extraction import (
    AVERAGE,
    COMBINATIONS,
    KEEP,
    OUTLIER_CHOICES,
    Extraction,
    extract_identities,
)
from ..styleswap_core.identities.identity_reports import describe_blend, describe_likeness
from ..styleswap_core.io.images import bchw_to_bhwc
from .analysis import open_analysis
from .detect_faces import MAX_PREVIEWS
from .host import frame_progress, result_device
from .sockets import Identity as IdentitySocket
from .sockets import advanced, face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_inputs import gender_input
from .swap_values import index_problem
from .values import as_identities, as_identity, count_images, image_arrays

_MORE_IMAGES = tuple(f"image_{number}" for number in range(2, 6))
_LIST_INPUTS = tuple(f"identity_{number}" for number in range(1, 9))
_BLEND_INPUTS = tuple(f"identity_{number}" for number in range(1, 5))
_BLEND_WEIGHTS = tuple(f"weight_{number}" for number in range(1, 5))


class ExtractArcFaceID(io.ComfyNode):
    """Extracts identities from images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_ExtractArcFaceID",
            display_name="Extract ArcFace ID",
            category="StyleSwap/identity",
            description="Extracts an identity from the faces in one or more images. Averaging several images of a"
            " person is more robust than using one; alternatively, each face gives an identity of its own.",
            # Its preview is shown again if the result comes from the cache.
            has_intermediate_output=True,
            search_aliases=["face embedding", "source face", "arcface"],
            inputs=[
                face_analysis_input(),
                io.Image.Input("image", tooltip="Images of the source person; every image of a batch is used."),
                *_choice_inputs(),
                *(
                    io.Image.Input(name, optional=True, tooltip="More images of the person, of any size.")
                    for name in _MORE_IMAGES
                ),
                io.String.Input(
                    "indices",
                    default="",
                    optional=True,
                    tooltip="For by index: several face numbers such as 0,2, instead of index. Numbers that an image "
                    "does not have are skipped.",
                ),
                advanced(gender_input()),
            ],
            outputs=[
                IdentitySocket.Output("identity", display_name="identity", tooltip="For Swap Face."),
                io.Image.Output(
                    "crops", display_name="crops", tooltip="The aligned faces as the recognizer sees them."
                ),
                io.String.Output(
                    "report", display_name="report", tooltip="Which faces were used, and how well they agree."
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        faces: str | None = None,
        order: str | None = None,
        combine: str | None = None,
        outliers: str | None = None,
        indices: str | None = None,
        gender: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice or invalid indices."""
        chosen = {"faces": faces, "order": order, "combine": combine, "outliers": outliers, "gender": gender}
        return unknown_choice(cls, **chosen) or (indices and indices.strip() and index_problem(faces, indices)) or True

    @classmethod
    def execute(
        cls,
        face_analysis: object,
        image: torch.Tensor,
        faces: str,
        index: int,
        order: str,
        combine: str,
        outliers: str,
        indices: str = "",
        gender: str = "any",
        **more: torch.Tensor,
    ) -> io.NodeOutput:
        """Extract identities from `image` and `more`, each (B, H, W, 3 or 4).

        Returns:
            One identity or a list of them, the aligned faces (N, S, S, 3), and a report.

        Raises:
            StyleSwapError: No image shows a face that was asked for, invalid indices, or a pack without a recognizer or
                an estimate of the gender.
        """
        numbers = parse_numbers(indices) if indices.strip() and faces == "by index" else (index,)
        choice = FaceChoice(faces, order, numbers, gender=gender)
        batches = [image, *(more.get(name) for name in _MORE_IMAGES)]
        with open_analysis(face_analysis) as analyzer:
            extracted = extract(analyzer, batches, choice, combine, outliers)
        identity = extracted.identities[0] if extracted.averaged else extracted.identities
        crops = bchw_to_bhwc(torch.stack([source.crop for source in extracted.faces])).to(result_device())
        report = "\n".join(extracted.summary())
        return io.NodeOutput(identity, crops, report, ui=ui.PreviewImage(crops[:MAX_PREVIEWS], cls=cls))


def extract(
    analyzer: FaceAnalyzer,
    batches: Sequence[torch.Tensor | None],
    choice: FaceChoice,
    combine: str = AVERAGE,
    outliers: str = KEEP,
) -> Extraction:
    """`extract_identities` from batches of images (B, H, W, 3 or 4), with progress in the interface."""
    on_image = frame_progress(count_images(*batches))
    return extract_identities(image_arrays(*batches), analyzer, choice, combine, outliers, on_image)


def _choice_inputs() -> list[io.Input]:
    """Which faces are used, and what becomes of several of them."""
    return [
        io.Combo.Input(
            "faces",
            options=["largest", "all", "by index"],
            default="largest",
            tooltip="Which faces of each image to use.",
        ),
        io.Int.Input(
            "index",
            default=0,
            min=0,
            max=99,
            tooltip="For by index: the number of the face, as shown by Detect Faces.",
        ),
        order_input("How the faces in each image are numbered. largest: face 0 is the largest."),
        io.Combo.Input(
            "combine",
            options=list(COMBINATIONS),
            default=AVERAGE,
            tooltip="average: one identity from all faces. one per face: a list, for several people.",
        ),
        io.Combo.Input(
            "outliers",
            options=list(OUTLIER_CHOICES),
            default=KEEP,
            tooltip="What to do with faces that look like a different person than the others: keep them in "
            "the average or leave them out. They are reported either way.",
        ),
    ]


class IdentityList(io.ComfyNode):
    """Combines identities into a list."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_IdentityList",
            display_name="Identity List",
            category="StyleSwap/identity",
            description="Combines identities into a list. Swap Face gives the first identity to the first chosen face,"
            " the second to the second, and so on; as a reference, each identity selects the face most like it.",
            search_aliases=["several faces", "multiple identities"],
            inputs=[
                identity_input(
                    name, f"Identity {number} of the list; a list is inserted as a whole.", optional=number > 1
                )
                for number, name in enumerate(_LIST_INPUTS, start=1)
            ],
            outputs=[
                IdentitySocket.Output(
                    "identities", display_name="identities", tooltip="For identity or reference of Swap Face."
                )
            ],
        )

    @classmethod
    def execute(cls, **identities: object) -> io.NodeOutput:
        """List the identities of all connected inputs in order; lists among them are flattened.

        Raises:
            StyleSwapError: A value that is not an identity.
        """
        first, *others = (identities.get(name) for name in _LIST_INPUTS)
        # Some loaders of other packs return None if nothing is chosen: on an optional input it counts as unconnected.
        given = [first, *(value for value in others if value is not None)]
        return io.NodeOutput([one for value in given for one in as_identities(value)])


class BlendIdentities(io.ComfyNode):
    """Blends identities by weight."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        sockets = [
            identity_input(name, "An identity to blend; a list is averaged first.", optional=number > 2)
            for number, name in enumerate(_BLEND_INPUTS, start=1)
        ]
        weights = [
            io.Float.Input(
                weight,
                default=1.0,
                min=0.0,
                max=10.0,
                step=0.05,
                tooltip=f"Weight of {identity}, relative to the other weights.",
            )
            for weight, identity in zip(_BLEND_WEIGHTS, _BLEND_INPUTS, strict=True)
        ]
        return make_schema(
            node_id="StyleSwap_BlendIdentities",
            display_name="Blend Identities",
            category="StyleSwap/identity",
            description="Blends up to four identities by weight into a new one. All must come from the same"
            " recognizer.",
            search_aliases=["mix faces", "average faces"],
            inputs=[*sockets[:2], *weights, *sockets[2:]],
            outputs=[
                IdentitySocket.Output("identity", display_name="identity", tooltip="For Swap Face."),
                io.String.Output(
                    "report", display_name="report", tooltip="How much the blend resembles each identity."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        identity_1: object,
        identity_2: object,
        weight_1: float,
        weight_2: float,
        weight_3: float,
        weight_4: float,
        identity_3: object = None,
        identity_4: object = None,
    ) -> io.NodeOutput:
        """Blend the connected identities; a list counts as its mean.

        Returns:
            The weighted mean, and a report of its similarity to each of them.

        Raises:
            StyleSwapError: Values that are not identities, or identities of different recognizers.
        """
        inputs = zip(
            _BLEND_INPUTS,
            (identity_1, identity_2, identity_3, identity_4),
            (weight_1, weight_2, weight_3, weight_4),
            strict=True,
        )
        connected = [
            (name, blend_identities(as_identities(value)), weight)
            for name, value, weight in inputs
            if value is not None or name in _BLEND_INPUTS[:2]
        ]
        parts = [part for _, part, _ in connected]
        blend = blend_identities(parts, [weight for _, _, weight in connected])
        return io.NodeOutput(blend, "\n".join(describe_blend(blend, connected)))


class CompareIdentity(io.ComfyNode):
    """Compares two identities."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_CompareIdentity",
            display_name="Compare Identity",
            category="StyleSwap/identity",
            description="Computes the cosine similarity of two identities from the same recognizer: 1 for identical"
            " faces, about 0 for strangers.",
            search_aliases=["face similarity", "likeness"],
            inputs=[identity_input("identity_a", "First identity."), identity_input("identity_b", "Second identity.")],
            outputs=[
                io.Float.Output("similarity", display_name="similarity", tooltip="Cosine similarity, -1 to 1."),
                io.String.Output("report", display_name="report", tooltip="The same as text."),
            ],
        )

    @classmethod
    def execute(cls, identity_a: object, identity_b: object) -> io.NodeOutput:
        """Compare two identities.

        Returns:
            Their cosine similarity, -1..1, and a report.

        Raises:
            StyleSwapError: A value that is not a single identity, or identities of different recognizers.
        """
        first, second = as_identity(identity_a, "identity_a"), as_identity(identity_b, "identity_b")
        return io.NodeOutput(cosine_similarity(first, second), describe_likeness(first, second))
