"""Detect Faces."""

import json

import torch
from comfy_api.latest import io, ui

from ..styleswap_core.faces.choice import FaceChoice, likeness_table
from ..styleswap_core.faces.face_rows import FaceRow, face_row
from ..styleswap_core.io.images import bchw_to_bhwc, from_uint8
from .analysis import open_analysis
from .host import frame_progress, result_device
from .sockets import face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_inputs import person_inputs
from .swap_reports import describe_faces
from .swap_values import MAX_AGE, age_range
from .values import as_identity, count_images, image_arrays

# Each preview is a file in ComfyUI's temporary folder.
MAX_PREVIEWS = 8


class DetectFaces(io.ComfyNode):
    """Shows which faces are detected, and their numbers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_DetectFaces",
            display_name="Detect Faces",
            category="StyleSwap/faces",
            description="Detects all faces, draws their boxes, numbers and landmarks, and lists them. Swap Face and"
            " Extract ArcFace ID use the same numbers if order is the same.",
            search_aliases=["face detection", "find faces", "face index"],
            # Its preview is useful even if no output is connected.
            is_output_node=True,
            inputs=[
                face_analysis_input(),
                io.Image.Input("image", tooltip="One image or a batch."),
                order_input("How the faces in each image are numbered. largest: face 0 is the largest."),
                identity_input(
                    "reference",
                    "If connected, the report states the likeness of each face to this identity: a guide for the"
                    " likeness threshold of Swap Face.",
                    optional=True,
                ),
                *person_inputs(),
            ],
            outputs=[
                io.Image.Output("preview", display_name="image", tooltip="The images with numbered faces."),
                io.String.Output(
                    "faces",
                    display_name="faces",
                    tooltip="JSON: for each image, a list of faces with index, score, box, points, angle, doubtful and,"
                    " where the pack estimates them, gender and age.",
                ),
                io.Int.Output("count", display_name="count", tooltip="Total number of faces in all images."),
                io.String.Output("report", display_name="report", tooltip="The same as text."),
            ],
        )

    @classmethod
    def validate_inputs(cls, order: str | None = None, gender: str | None = None) -> bool | str:
        """True, or a message about the first unknown choice."""
        return unknown_choice(cls, order=order, gender=gender) or True

    @classmethod
    def execute(
        cls,
        face_analysis: object,
        image: torch.Tensor,
        order: str,
        reference: object = None,
        gender: str = "any",
        min_age: int = 0,
        max_age: int = MAX_AGE,
    ) -> io.NodeOutput:
        """Detect the faces in a batch of images (B, H, W, 3 or 4).

        Returns:
            The images with boxes and numbers drawn (B, H, W, 3), the faces of each image as JSON, their total number,
            and a report.

        Raises:
            StyleSwapError: `reference` is not a single identity, or comes from another recognizer; or the face analysis
                does not estimate gender and age, and they are chosen.
        """
        from ..styleswap_core.faces.overlay import draw_faces
        from ..styleswap_core.pipeline.frame_requests import references_for

        choice = FaceChoice("all", order, gender=gender, ages=age_range(min_age, max_age))
        on_image = frame_progress(count_images(image))
        drawn = torch.empty(*image.shape[:3], 3, dtype=torch.float32, device=result_device())
        rows: list[list[FaceRow]] = []
        with open_analysis(face_analysis) as analyzer:
            references = () if reference is None else references_for([as_identity(reference, "reference")], analyzer)
            for number, picture in enumerate(image_arrays(image)):
                on_image(number)
                detected = analyzer.detect(picture, order, embed=bool(references))
                picked, _ = choice.pick(analyzer.with_gender_age(picture, detected, required=choice.needs_gender_age))
                found = [face for _, face in picked]
                cosines = likeness_table(found, references)[0].tolist() if references and found else [None] * len(found)
                rows.append([face_row(face, cosine) for face, cosine in zip(found, cosines, strict=True)])
                seen = draw_faces(picture, found, cosines)
                drawn[number] = bchw_to_bhwc(from_uint8(seen))[0].to(drawn.device)
        total = sum(len(row) for row in rows)
        preview = ui.PreviewImage(drawn[:MAX_PREVIEWS], cls=cls)
        return io.NodeOutput(drawn, json.dumps(rows), total, describe_faces(rows, order), ui=preview)
