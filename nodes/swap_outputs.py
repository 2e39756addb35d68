"""Outputs that the nodes that swap faces in images share."""

from comfy_api.latest import io


def image_outputs() -> list[io.Output]:
    """The swapped images and their masks."""
    return [
        io.Image.Output("swapped_image", display_name="image", tooltip="The swapped frames."),
        io.Mask.Output("mask", display_name="mask", tooltip="The share of each pixel that was replaced."),
    ]


def text_outputs() -> list[io.Output]:
    """The report, and what marks a file as swapped."""
    return [
        io.String.Output("report", display_name="report", tooltip="What was swapped in each frame."),
        io.String.Output(
            "swap_info",
            display_name="swap_info",
            tooltip="For Save Swapped Image: states that a face was swapped, and by which model.",
        ),
    ]
