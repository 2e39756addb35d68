"""Inputs and outputs of the nodes that moved graphs consist of: this pack's and ComfyUI's own.

A graph saved by the editor holds widgets by position, so these tables follow the nodes' order; a test in ComfyUI
compares them. Widgets that a node has gained since may be missing here: the editor gives them their defaults.
"""

from dataclasses import dataclass
from typing import Any

_ANALYSIS = "STYLESWAP_FACE_ANALYSIS,INSIGHTFACE,FACEANALYSIS"
_IDENTITY = "STYLESWAP_IDENTITY,FACE_MODEL"
_FACES = "STYLESWAP_FACES"
_MASKS = "STYLESWAP_MASKS"


@dataclass(frozen=True)
class Input:
    """An input of a node.

    Attributes:
        name: Its id.
        kind: Its type.
        default: Value of a widget.
        is_widget: Whether it is one.
        optional: Whether a node runs without it.
    """

    name: str
    kind: str
    default: Any = None
    is_widget: bool = False
    optional: bool = False


@dataclass(frozen=True)
class NodeForm:
    """Form of a node.

    Attributes:
        node_id: Its class.
        title: Its name in the menu.
        inputs: Its inputs in the order of the schema.
        outputs: Name and type of each output.
        size: Width and height in the editor.
    """

    node_id: str
    title: str
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, str], ...]
    size: tuple[int, int]

    @property
    def is_ours(self) -> bool:
        """Whether it belongs to this pack."""
        return self.node_id.startswith("StyleSwap_")

    @property
    def widgets(self) -> list[Input]:
        """The widgets in the order of `widgets_values`."""
        return [given for given in self.inputs if given.is_widget]


def _link(name: str, kind: str, optional: bool = False) -> Input:
    return Input(name, kind, optional=optional)


def _widget(name: str, kind: str, default: Any, optional: bool = False) -> Input:
    return Input(name, kind, default, True, optional)


_DETECTION = (
    _widget("detection_size", "COMBO", "automatic"),
    _widget("detection_threshold", "FLOAT", 0.5),
    _widget("run_on", "COMBO", "CPU"),
)

QUICK_SWAP = NodeForm(
    "StyleSwap_QuickSwap",
    "Quick Face Swap",
    (
        _link("target", "IMAGE"),
        _link("source", "IMAGE", True),
        _link("identity", _IDENTITY, True),
        _widget("model_name", "COMBO", "demo (built in)"),
        _widget("pack", "COMBO", "demo (built in)"),
        _widget("faces", "COMBO", "largest"),
        _widget("index", "STRING", "0"),
        _widget("strength", "FLOAT", 1.0),
        _widget("download", "BOOLEAN", False),
        _widget("source_face", "INT", 0),
        _widget("order", "COMBO", "largest"),
        _widget("resolution", "COMBO", "automatic"),
        _widget("mask_grow", "INT", 0),
        _widget("mask_feather", "FLOAT", 0.0),
        *_DETECTION,
        _widget("on_missing", "COMBO", "pass through"),
    ),
    (
        ("image", "IMAGE"),
        ("mask", "MASK"),
        ("identity", "STYLESWAP_IDENTITY"),
        ("report", "STRING"),
        ("swap_info", "STRING"),
    ),
    (360, 620),
)

LOAD_MODEL = NodeForm(
    "StyleSwap_LoadModel",
    "Load StyleSwap Model",
    (
        _widget("model_name", "COMBO", "demo (built in)"),
        _widget("family", "COMBO", "automatic", True),
        _widget("any_recognizer", "BOOLEAN", False, True),
    ),
    (("model", "STYLESWAP_MODEL"), ("info", "STRING")),
    (320, 126),
)

LOAD_ANALYSIS = NodeForm(
    "StyleSwap_LoadFaceAnalysis",
    "Load Face Analysis",
    (_widget("pack", "COMBO", "demo (built in)"), *_DETECTION, _widget("download", "BOOLEAN", False)),
    (("face_analysis", "STYLESWAP_FACE_ANALYSIS"), ("info", "STRING")),
    (320, 174),
)

EXTRACT = NodeForm(
    "StyleSwap_ExtractArcFaceID",
    "Extract ArcFace ID",
    (
        _link("face_analysis", _ANALYSIS),
        _link("image", "IMAGE"),
        _widget("faces", "COMBO", "largest"),
        _widget("index", "INT", 0),
        _widget("order", "COMBO", "largest"),
        _widget("combine", "COMBO", "average"),
        _widget("outliers", "COMBO", "keep"),
        *(_link(f"image_{number}", "IMAGE", True) for number in range(2, 6)),
        _widget("indices", "STRING", "", True),
        _widget("gender", "COMBO", "any", True),
    ),
    (("identity", "STYLESWAP_IDENTITY"), ("crops", "IMAGE"), ("report", "STRING")),
    (320, 548),
)

IDENTITY_LIST = NodeForm(
    "StyleSwap_IdentityList",
    "Identity List",
    tuple(_link(f"identity_{number}", _IDENTITY, number > 1) for number in range(1, 9)),
    (("identities", "STYLESWAP_IDENTITY"),),
    (280, 200),
)

BLEND_IDENTITIES = NodeForm(
    "StyleSwap_BlendIdentities",
    "Blend Identities",
    (
        _link("identity_1", _IDENTITY),
        _link("identity_2", _IDENTITY),
        *(_widget(f"weight_{number}", "FLOAT", 1.0) for number in range(1, 5)),
        _link("identity_3", _IDENTITY, True),
        _link("identity_4", _IDENTITY, True),
    ),
    (("identity", "STYLESWAP_IDENTITY"), ("report", "STRING")),
    (280, 222),
)

COMPARE_IDENTITY = NodeForm(
    "StyleSwap_CompareIdentity",
    "Compare Identity",
    (_link("identity_a", _IDENTITY), _link("identity_b", _IDENTITY)),
    (("similarity", "FLOAT"), ("report", "STRING")),
    (280, 86),
)

SAVE_IDENTITY = NodeForm(
    "StyleSwap_SaveIdentity",
    "Save Identity",
    (
        _link("identity", _IDENTITY),
        _widget("filename", "STRING", "person"),
        _widget("file_format", "COMBO", "StyleSwap identity"),
        _widget("if_exists", "COMBO", "add a number"),
        _widget("portrait", "BOOLEAN", False, True),
    ),
    (("file", "STRING"),),
    (320, 154),
)

LOAD_IDENTITY = NodeForm(
    "StyleSwap_LoadIdentity",
    "Load Identity",
    (_widget("identity_file", "COMBO", ""), _link("file", "STRING", True)),
    (("identity", "STYLESWAP_IDENTITY"), ("info", "STRING")),
    (320, 102),
)

SWAP_FACE = NodeForm(
    "StyleSwap_SwapFace",
    "Swap Face",
    (
        _link("model", "STYLESWAP_MODEL"),
        _link("face_analysis", _ANALYSIS),
        _link("identity", _IDENTITY),
        _link("image", "IMAGE"),
        _widget("faces", "COMBO", "largest"),
        _widget("index", "STRING", "0"),
        _widget("order", "COMBO", "largest"),
        _widget("likeness", "FLOAT", 0.3),
        _widget("strength", "FLOAT", 1.0),
        _widget("mask_grow", "INT", 0),
        _widget("mask_feather", "FLOAT", 0.0),
        _widget("on_missing", "COMBO", "pass through"),
        _widget("batch_size", "INT", 8),
        _link("reference", _IDENTITY, True),
        _widget("resolution", "COMBO", "automatic", True),
        _link("masks", _MASKS, True),
        _link("keep", "MASK", True),
        _widget("mask_padding", "FLOAT", 0.0, True),
        _widget("mask_edge", "FLOAT", 0.0, True),
        _widget("gender", "COMBO", "any", True),
        _widget("min_age", "INT", 0, True),
        _widget("max_age", "INT", 120, True),
        _widget("doubtful", "COMBO", "skip", True),
        _widget("tracking", "BOOLEAN", False, True),
        _widget("detection_interval", "INT", 4, True),
        _widget("smoothing", "FLOAT", 4.0, True),
        _widget("bridge", "INT", 12, True),
        _link("only_in", "MASK", True),
        _link("segs", "SEGS", True),
        _widget("in_turn", "BOOLEAN", False, True),
    ),
    (
        ("image", "IMAGE"),
        ("mask", "MASK"),
        ("crops", "IMAGE"),
        ("report", "STRING"),
        ("swap_info", "STRING"),
        ("faces", _FACES),
    ),
    (340, 838),
)

ALIGN_FACES = NodeForm(
    "StyleSwap_AlignFaces",
    "Align Faces",
    (
        _link("image", "IMAGE"),
        _widget("size", "INT", 512),
        _widget("template", "COMBO", "ffhq"),
        _widget("faces", "COMBO", "all"),
        _widget("index", "STRING", "0"),
        _widget("order", "COMBO", "largest"),
        _widget("likeness", "FLOAT", 0.3),
        _link("face_analysis", _ANALYSIS, True),
        _link("known_faces", _FACES, True),
        _link("reference", _IDENTITY, True),
        _link("masks", _MASKS, True),
    ),
    (("crops", "IMAGE"), ("faces", _FACES), ("mask", "MASK"), ("report", "STRING")),
    (340, 298),
)

_BLENDING = (
    _widget("grow", "INT", 0),
    _widget("feather", "FLOAT", 4.0),
    _widget("color_match", "COMBO", "none"),
    _widget("color_strength", "FLOAT", 1.0),
    _widget("method", "COMBO", "alpha"),
)

PASTE_FACES = NodeForm(
    "StyleSwap_PasteFaces",
    "Paste Faces",
    (
        _link("target", "IMAGE"),
        _link("crops", "IMAGE"),
        _link("faces", _FACES),
        *_BLENDING,
        _link("mask", "MASK", True),
        _link("keep", "MASK", True),
    ),
    (("image", "IMAGE"), ("mask", "MASK")),
    (340, 258),
)

BLEND_WITH_MASK = NodeForm(
    "StyleSwap_BlendWithMask",
    "Blend With Mask",
    (
        _link("target", "IMAGE"),
        _link("swapped", "IMAGE"),
        _link("mask", "MASK"),
        *_BLENDING,
        _link("keep", "MASK", True),
    ),
    (("image", "IMAGE"), ("mask", "MASK")),
    (320, 238),
)

LOAD_UPSCALER = NodeForm(
    "UpscaleModelLoader",
    "Load Upscale Model",
    (_widget("model_name", "COMBO", ""),),
    (("UPSCALE_MODEL", "UPSCALE_MODEL"),),
    (320, 58),
)

UPSCALE = NodeForm(
    "ImageUpscaleWithModel",
    "Upscale Image (using Model)",
    (_link("upscale_model", "UPSCALE_MODEL"), _link("image", "IMAGE")),
    (("IMAGE", "IMAGE"),),
    (280, 46),
)

BLEND_IMAGES = NodeForm(
    "ImageBlend",
    "Image Blend",
    (
        _link("image1", "IMAGE"),
        _link("image2", "IMAGE"),
        _widget("blend_factor", "FLOAT", 0.5),
        _widget("blend_mode", "COMBO", "normal"),
    ),
    (("IMAGE", "IMAGE"),),
    (280, 102),
)

FIRST_OF_BATCH = NodeForm(
    "ImageFromBatch",
    "Get Image or Frame from Batch",
    (_link("image", "IMAGE"), _widget("batch_index", "INT", 0), _widget("length", "INT", 1)),
    (("IMAGE", "IMAGE"),),
    (280, 82),
)

WITHOUT_ALPHA = NodeForm(
    "SplitImageWithAlpha",
    "Split Image with Alpha",
    (_link("image", "IMAGE"),),
    (("IMAGE", "IMAGE"), ("MASK", "MASK")),
    (280, 46),
)

MASK_TO_IMAGE = NodeForm(
    "MaskToImage", "Convert Mask to Image", (_link("mask", "MASK"),), (("IMAGE", "IMAGE"),), (280, 26)
)

REROUTE = NodeForm("Reroute", "Reroute", (_link("", "*"),), (("", "IMAGE"),), (75, 26))
"""A bend of a connection, which exists in the editor only."""

FORMS = {
    form.node_id: form
    for form in (
        QUICK_SWAP,
        LOAD_MODEL,
        LOAD_ANALYSIS,
        EXTRACT,
        IDENTITY_LIST,
        BLEND_IDENTITIES,
        COMPARE_IDENTITY,
        SAVE_IDENTITY,
        LOAD_IDENTITY,
        SWAP_FACE,
        ALIGN_FACES,
        PASTE_FACES,
        BLEND_WITH_MASK,
        LOAD_UPSCALER,
        UPSCALE,
        BLEND_IMAGES,
        FIRST_OF_BATCH,
        WITHOUT_ALPHA,
        MASK_TO_IMAGE,
    )
}
"""The forms of nodes that run, by class."""
