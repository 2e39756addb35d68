"""Load Face Masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import comfy.model_management
from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.execution_providers import CPU_PROVIDER
from ..styleswap_core.masking.face_masks import FaceMasks, load_face_masks
from ..styleswap_core.masking.mask_files import OCCLUSION, PARSING
from ..styleswap_core.masking.regions import OUTLINES, REGIONS, SWAPPED, parse_regions
from .analysis import check_packages
from .folders import mask_names, mask_path
from .loaded_files import choice_state, loaded_state
from .sockets import Masks, make_schema, unknown_choice

NO_FILE = "none"
"""Choice of no network."""


@dataclass(eq=False)
class LoadedMasks:
    """Masks of faces and the files of their networks; output of Load Face Masks.

    ComfyUI does not manage the memory of ONNX Runtime's sessions: on the CPU they are kept, elsewhere each node frees
    them when it is done.

    Attributes:
        parsing: File of the face parsing network, or None.
        regions: Regions of a face that are swapped, see `regions.parse_regions`.
        occlusion: File of the occlusion network, or None.
        outline: One of OUTLINES.
    """

    parsing: Path | None = None
    regions: str = SWAPPED
    occlusion: Path | None = None
    outline: str = OUTLINES[0]
    _kept: FaceMasks | None = field(default=None, init=False, repr=False)

    @contextmanager
    def open(self) -> Iterator[FaceMasks]:
        """Context manager for the masks.

        Raises:
            StyleSwapError: A network does not load, or its classes are not those that the regions name.
        """
        masks = self._kept or self._load()
        if all(network.provider == CPU_PROVIDER for network in masks.networks()):
            self._kept = masks
        yield masks

    def _load(self) -> FaceMasks:
        check_packages("masks of faces need")
        device = comfy.model_management.get_torch_device()
        return load_face_masks(self.parsing, self.regions, self.occlusion, self.outline, device)


class LoadFaceMasks(io.ComfyNode):
    """Chooses what part of a face is swapped."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_LoadFaceMasks",
            display_name="Load Face Masks",
            category="StyleSwap/loaders",
            description="Chooses which part of a face is swapped: by a face parsing network, an occlusion network that"
            " keeps hands, hair and glasses in front of the face, and the outline of the face.",
            search_aliases=["face mask", "face parsing", "bisenet", "xseg", "occlusion", "occluder"],
            inputs=[
                io.Combo.Input(
                    "parsing",
                    options=[NO_FILE, *mask_names(PARSING)],
                    default=NO_FILE,
                    tooltip="Face parsing network such as bisenet_resnet_34.onnx, from models/styleswap/masks or"
                    " another pack's folder, such as models/face_parsing or models/facefusion.",
                ),
                io.String.Input(
                    "regions",
                    default=SWAPPED,
                    tooltip=f"For parsing: the regions to swap, chosen from {', '.join(REGIONS)}. For networks that do"
                    " not have 19 classes: class numbers, such as 1,2.",
                ),
                io.Combo.Input(
                    "occlusion",
                    options=[NO_FILE, *mask_names(OCCLUSION)],
                    default=NO_FILE,
                    tooltip="Occlusion network such as xseg_1.onnx, from the same folders: keeps whatever covers the "
                    "face.",
                ),
                io.Combo.Input(
                    "outline",
                    options=list(OUTLINES),
                    default=OUTLINES[0],
                    tooltip="automatic: the outline of the face is the mask if neither the model nor face parsing "
                    "has one. whole, upper, lower and mouth swap only that part of the face, with any model.",
                ),
            ],
            outputs=[
                Masks.Output("masks", display_name="masks", tooltip="For Swap Face."),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and where it runs."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        parsing: str | None = None,
        regions: str | None = None,
        occlusion: str | None = None,
        outline: str | None = None,
    ) -> bool | str:
        """True, or a message about an unknown choice, a missing file or an unknown region."""
        if problem := unknown_choice(cls, outline=outline):
            return problem
        try:
            for name in (parsing, occlusion):
                _file(name)
            if regions is not None:
                parse_regions(regions)
        except StyleSwapError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, parsing: str | None, occlusion: str | None, **_others: object) -> str:
        """State of the files, so that the node runs again if one changes."""
        return " ".join(choice_state(name, mask_path) for name in (parsing, occlusion))

    @classmethod
    def execute(cls, parsing: str, regions: str, occlusion: str, outline: str) -> io.NodeOutput:
        """Choose masks, and open their networks once to check that they work.

        Returns:
            The masks, and a report with their files and where they run.

        Raises:
            StyleSwapError: A file is missing, damaged or no such network, or does not have the regions.
        """
        files = _file(parsing), _file(occlusion)
        for path in filter(None, files):
            loaded_state(path)
        loaded = LoadedMasks(files[0], regions, files[1], outline)
        lines = []
        with loaded.open() as masks:
            for network in masks.networks():
                lines.append(f"{network.kind}: {network.path.name}, runs on the {network.provider}")
                if network.fallback:
                    lines.append(f"note: {network.fallback}")
        if loaded.parsing is not None:
            lines.append(f"regions: {regions}")
        return io.NodeOutput(loaded, "\n".join([*lines, f"outline: {outline}"]))


def _file(name: str | None) -> Path | None:
    return None if name in (None, NO_FILE) else mask_path(name)
