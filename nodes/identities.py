"""Extract ArcFace ID, Identity List, Blend Identities, Compare Identity."""

import torch
from comfy_api.latest import io, ui

from ..styleswap_core.faces.choice import FaceChoice
from ..styleswap_core.identities.averaging import blend_identities, cosine_similarity
from ..styleswap_core.identities.extraction import average_sources, find_source_faces, separate_sources
from ..styleswap_core.io.images import bchw_to_bhwc
from .analysis import open_analysis
from .detect_faces import PREVIEWS
from .host import frame_progress, result_device
from .sockets import Identity, face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_reports import describe_separate, describe_sources
from .values import as_identities, as_identity, count_pictures, picture_arrays

MORE_PICTURES = tuple(f"image_{number}" for number in range(2, 6))
LIST_LENGTH = 8
BLENDED = 4


class ExtractArcFaceID(io.ComfyNode):
    """Pictures of a person -> identity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_ExtractArcFaceID",
            display_name="Extract ArcFace ID",
            category="StyleSwap/identity",
            description="Makes an identity out of the faces in one or more pictures. Several faces of one person are averaged,"
            " which is steadier than one picture; or each face gives an identity of its own.",
            search_aliases=["face embedding", "source face", "arcface"],
            inputs=[
                face_analysis_input(),
                io.Image.Input("image", tooltip="Pictures of the source person; every picture of a batch is used"),
                io.Combo.Input(
                    "faces",
                    options=["largest", "all", "by index"],
                    default="largest",
                    tooltip="Which faces of each picture",
                ),
                io.Int.Input(
                    "index", default=0, min=0, max=99, tooltip="Number of the face, for by index; see Detect Faces"
                ),
                order_input("How the faces of each picture are numbered"),
                io.Combo.Input(
                    "combine",
                    options=["average", "one per face"],
                    default="average",
                    tooltip="average: one identity out of all faces. one per face: a list, for several people",
                ),
                io.Combo.Input(
                    "outliers",
                    options=["keep", "leave out"],
                    default="keep",
                    tooltip="Faces that look like another person than the rest are reported; leave them out of the"
                    " average, or keep them",
                ),
                *(
                    io.Image.Input(name, optional=True, tooltip="More pictures of the person, of any size")
                    for name in MORE_PICTURES
                ),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face"),
                io.Image.Output("crops", display_name="crops", tooltip="The faces as the recognizer sees them"),
                io.String.Output(
                    "report", display_name="report", tooltip="Which faces were used, and how well they agree"
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, faces: str, order: str, combine: str, outliers: str) -> bool | str:
        """True, or a sentence about a choice that is not offered."""
        return unknown_choice(cls, faces=faces, order=order, combine=combine, outliers=outliers) or True

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
        **more: torch.Tensor,
    ) -> io.NodeOutput:
        """Image and `more` (B, H, W, 3 or 4) each -> one identity or a list of them, the aligned faces (N, S, S, 3), and a report.

        Raises:
            StyleSwapError: no picture with the face that was asked for, or a pack without a recognizer.
        """
        batches = [image, *(more.get(name) for name in MORE_PICTURES)]
        choice = FaceChoice(faces, order, (index,))
        on_picture = frame_progress(count_pictures(*batches))
        with open_analysis(face_analysis) as analyzer:
            found, problems = find_source_faces(picture_arrays(*batches), analyzer, choice, on_picture)
            if combine == "one per face":
                identity, report = separate_sources(found, analyzer), describe_separate(found, problems)
            else:
                left_out = outliers == "leave out"
                identity, similarities, outlying = average_sources(found, analyzer, left_out)
                report = describe_sources(found, similarities, outlying, left_out, problems)
        crops = bchw_to_bhwc(torch.stack([source.crop for source in found])).to(result_device())
        return io.NodeOutput(identity, crops, report, ui=ui.PreviewImage(crops[:PREVIEWS], cls=cls))


class IdentityList(io.ComfyNode):
    """Several identities on one wire."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_IdentityList",
            display_name="Identity List",
            category="StyleSwap/identity",
            description="Puts identities on one wire. Swap Face gives the first to the first chosen face, the second to the"
            " second, and so on; as its reference, each goes to the face that looks most like it.",
            search_aliases=["several faces", "multiple identities"],
            inputs=[
                identity_input(
                    f"identity_{number}", f"Number {number} of the list; a list is joined on", optional=number > 1
                )
                for number in range(1, LIST_LENGTH + 1)
            ],
            outputs=[
                Identity.Output(
                    "identities", display_name="identities", tooltip="For identity or reference of Swap Face"
                )
            ],
        )

    @classmethod
    def execute(cls, **identities: object) -> io.NodeOutput:
        """The identities of all connected sockets in their order, lists among them flattened.

        Raises:
            StyleSwapError: a value that is no identity.
        """
        given = [
            identities["identity_1"],
            *(identities.get(f"identity_{number}") for number in range(2, LIST_LENGTH + 1)),
        ]
        # Some loaders of other packs give None where nothing was chosen: on an optional socket that is as if unconnected.
        wanted = [value for place, value in enumerate(given) if place == 0 or value is not None]
        return io.NodeOutput([one for value in wanted for one in as_identities(value)])


class BlendIdentities(io.ComfyNode):
    """A person between persons."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        sockets = [
            identity_input(f"identity_{number}", "An identity to mix; a list is averaged first", optional=number > 2)
            for number in range(1, BLENDED + 1)
        ]
        weights = [
            io.Float.Input(
                f"weight_{number}",
                default=1.0,
                min=0.0,
                max=10.0,
                step=0.05,
                tooltip=f"Share of identity_{number}, relative to the other weights",
            )
            for number in range(1, BLENDED + 1)
        ]
        return make_schema(
            node_id="StyleSwap_BlendIdentities",
            display_name="Blend Identities",
            category="StyleSwap/identity",
            description="Mixes identities by weight into a face between them. All must come from one recognizer.",
            search_aliases=["mix faces", "average faces"],
            inputs=[*sockets[:2], *weights, *sockets[2:]],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face"),
                io.String.Output("report", display_name="report", tooltip="How much the mix resembles each part"),
            ],
        )

    @classmethod
    def execute(cls, **values: object) -> io.NodeOutput:
        """The weighted mean of the connected identities, a list counting as its mean, and a report of the likeness to each.

        Raises:
            StyleSwapError: values that are no identities, or of different recognizers.
        """
        numbers = [1, 2, *(number for number in range(3, BLENDED + 1) if values.get(f"identity_{number}") is not None)]
        parts = [blend_identities(as_identities(values[f"identity_{number}"])) for number in numbers]
        weights = [float(values[f"weight_{number}"]) for number in numbers]
        mixed = blend_identities(parts, weights)
        lines = [f"mix of {len(parts)} identities, recognizer {mixed.recognizer}"]
        lines += [
            f"identity_{number}: weight {weight:g}, likeness of the mix {cosine_similarity(mixed, part):.2f}"
            for number, weight, part in zip(numbers, weights, parts, strict=True)
        ]
        if mixed.w_plus is None and any(part.w_plus is not None for part in parts):
            lines.append(
                "note: the inversion (w_plus) of a part was dropped, because not all parts have one of the same model"
            )
        return io.NodeOutput(mixed, "\n".join(lines))


class CompareIdentity(io.ComfyNode):
    """How alike two identities are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_CompareIdentity",
            display_name="Compare Identity",
            category="StyleSwap/identity",
            description="The cosine between two identities of one recognizer: 1 is the same face, about 0 are strangers.",
            search_aliases=["face similarity", "likeness"],
            inputs=[identity_input("identity_a", "The one identity"), identity_input("identity_b", "The other")],
            outputs=[
                io.Float.Output("similarity", display_name="similarity", tooltip="Cosine, -1..1"),
                io.String.Output("report", display_name="report", tooltip="The same in words"),
            ],
        )

    @classmethod
    def execute(cls, identity_a: object, identity_b: object) -> io.NodeOutput:
        """The cosine of two identities, -1..1, and a sentence about it.

        Raises:
            StyleSwapError: a value that is no single identity, or different recognizers.
        """
        first, second = as_identity(identity_a, "identity_a"), as_identity(identity_b, "identity_b")
        cosine = cosine_similarity(first, second)
        report = (
            f"likeness {cosine:.3f} (1 is the same face, about 0 are strangers), by the recognizer {first.recognizer};"
            " two photos of one person lie between"
        )
        return io.NodeOutput(cosine, report)
