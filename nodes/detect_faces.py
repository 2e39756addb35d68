"""Detect Faces."""

import json

import numpy as np
import torch
from comfy_api.latest import io, ui

from ..styleswap_core.faces.choice import likeness_table
from ..styleswap_core.faces.overlay import draw_faces
from ..styleswap_core.io.images import bchw_to_bhwc, from_uint8
from ..styleswap_core.pipeline.swapper import references_for
from .analysis import open_analysis
from .host import frame_progress, result_device
from .sockets import face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_reports import describe_faces
from .values import as_identity, count_pictures, picture_arrays

# Each preview is a file in ComfyUI's temporary folder.
PREVIEWS = 8


class DetectFaces(io.ComfyNode):
    """Shows which faces are found, and their numbers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_DetectFaces",
            display_name="Detect Faces",
            category="StyleSwap/faces",
            description="Finds every face, draws its box, number and five points, and lists them. The numbers are those that"
            " Swap Face and Extract ArcFace ID count by in the same order.",
            search_aliases=["face detection", "find faces", "face index"],
            # Its picture in the node is a result of its own, also where nothing is connected.
            is_output_node=True,
            inputs=[
                face_analysis_input(),
                io.Image.Input("image", tooltip="One picture or a batch"),
                order_input("How the faces of each picture are numbered"),
                identity_input(
                    "reference",
                    "If connected, the report gives each face's likeness to it: what to set the"
                    " threshold of Swap Face by",
                    optional=True,
                ),
            ],
            outputs=[
                io.Image.Output("preview", display_name="image", tooltip="The pictures with numbered faces"),
                io.String.Output(
                    "faces", display_name="faces", tooltip="JSON: for each picture a list of index, score, box, points"
                ),
                io.Int.Output("count", display_name="count", tooltip="Number of faces in all pictures together"),
                io.String.Output("report", display_name="report", tooltip="The same in words"),
            ],
        )

    @classmethod
    def validate_inputs(cls, order: str) -> bool | str:
        """True, or a sentence about a choice that is not offered."""
        return unknown_choice(cls, order=order) or True

    @classmethod
    def execute(cls, face_analysis: object, image: torch.Tensor, order: str, reference: object = None) -> io.NodeOutput:
        """Image (B, H, W, 3 or 4) -> the pictures with boxes and numbers drawn (B, H, W, 3), JSON of each picture's faces, how
        many there are in all, and a report.

        Raises:
            StyleSwapError: `reference` is no single identity, or of another recognizer.
        """
        on_picture = frame_progress(count_pictures(image))
        drawn = torch.empty(*image.shape[:3], 3, dtype=torch.float32, device=result_device())
        rows: list[list[dict]] = []
        with open_analysis(face_analysis) as analyzer:
            references = () if reference is None else references_for([as_identity(reference, "reference")], analyzer)
            for number, picture in enumerate(picture_arrays(image)):
                on_picture(number)
                found = analyzer.detect(picture, order, embed=bool(references))
                cosines = likeness_table(found, references)[0].tolist() if references and found else [None] * len(found)
                rows.append([_as_json(face, cosine) for face, cosine in zip(found, cosines, strict=True)])
                drawn[number] = bchw_to_bhwc(from_uint8(draw_faces(picture, found)))[0].to(drawn.device)
        total = sum(len(row) for row in rows)
        preview = ui.PreviewImage(drawn[:PREVIEWS], cls=cls)
        return io.NodeOutput(drawn, json.dumps(rows), total, describe_faces(rows, order), ui=preview)


def _as_json(face, cosine: float | None) -> dict:
    row = {
        "index": face.index,
        "score": round(face.score, 4),
        "box": np.round(face.box.astype(float), 2).tolist(),
        "points": np.round(face.points.astype(float), 2).tolist(),
    }
    return row if cosine is None else {**row, "likeness": round(cosine, 4)}
