"""Public nodes of other face swap packs: inputs, widgets in the order of `widgets_values`, and their defaults.

Source: the public node definitions of ComfyUI-ReActor, comfy_mtb and ComfyUI_roop, as of autumn 2026, and for values
that older graphs hold, the history of comfyui-reactor-node since 0.2.0.
"""

from .foreign_form import ForeignNode, Widget

_REACTOR = "ReActor"
_MTB = "comfy_mtb"
_ROOP = "ComfyUI_roop"
_GENDERS = ("no", "female", "male")
_ORDERS = ("left-right", "right-left", "top-bottom", "bottom-top", "small-large", "large-small")
_ROOP_ORDERS = ("left to right", "up to down", "largest to smallest")

_LOG_LEVEL = Widget("console_log_level", 1, True, (0, 1, 2))
_DETECTION = Widget("facedetection", "retinaface_resnet50", True)
_MODEL = Widget("swap_model", "inswapper_128.onnx")
_SWAP = (
    Widget("enabled", True),
    _MODEL,
    _DETECTION,
    Widget("face_restore_model", "none"),
    Widget("face_restore_visibility", 1.0),
    Widget("codeformer_weight", 0.5, True),
)
_RESTORE = (
    _DETECTION,
    Widget("model", "none"),
    Widget("visibility", 1.0),
    Widget("codeformer_weight", 0.5, True),
)


# Widgets of the swap at the end of its first releases, from 0.2.0 to 0.4.0: the source came first.
_SOURCE_FIRST = (
    Widget("detect_gender_source", "no", choices=_GENDERS),
    Widget("detect_gender_input", "no", choices=_GENDERS),
    Widget("source_faces_index", "0"),
    Widget("input_faces_index", "0"),
    _LOG_LEVEL,
)


def _reactor(
    name: str,
    title: str,
    links: tuple[str, ...],
    widgets: tuple[Widget, ...],
    outputs: tuple[str, ...],
    earlier: tuple[tuple[Widget, ...], ...] = (),
) -> ForeignNode:
    titles = (f"{title} 🌌 ReActor", f"ReActor 🌌 {title}")
    return ForeignNode(f"ReActor{name}", _REACTOR, titles, links, widgets, outputs, earlier)


SWAP = _reactor(
    "FaceSwap",
    "Fast Face Swap",
    ("input_image", "source_image", "face_model", "face_boost"),
    (
        *_SWAP,
        Widget("detect_gender_input", "no", choices=_GENDERS),
        Widget("detect_gender_source", "no", choices=_GENDERS),
        Widget("input_faces_index", "0"),
        Widget("source_faces_index", "0"),
        _LOG_LEVEL,
    ),
    ("IMAGE", "FACE_MODEL", "IMAGE"),
    (
        (Widget("enabled", True, True), _MODEL, _DETECTION, Widget("face_restore_model", "none"), *_SOURCE_FIRST),
        (_MODEL, *_SOURCE_FIRST),
    ),
)
SWAP_WITH_OPTIONS = _reactor(
    "FaceSwapOpt",
    "Fast Face Swap [OPTIONS]",
    ("input_image", "source_image", "face_model", "options", "face_boost"),
    _SWAP,
    ("IMAGE", "FACE_MODEL", "IMAGE"),
)
OPTIONS = _reactor(
    "Options",
    "Options",
    (),
    (
        Widget("input_faces_order", "large-small", choices=_ORDERS),
        Widget("input_faces_index", "0"),
        Widget("detect_gender_input", "no", choices=_GENDERS),
        Widget("source_faces_order", "large-small", choices=_ORDERS),
        Widget("source_faces_index", "0"),
        Widget("detect_gender_source", "no", choices=_GENDERS),
        _LOG_LEVEL,
        Widget("restore_swapped_only", True, True),
    ),
    ("OPTIONS",),
)
FACE_BOOST = _reactor(
    "FaceBoost",
    "Face Booster",
    (),
    (
        Widget("enabled", True),
        Widget("boost_model", "none"),
        Widget("interpolation", "Bicubic"),
        Widget("visibility", 1.0),
        Widget("codeformer_weight", 0.5),
        Widget("restore_with_main_after", False),
    ),
    ("FACE_BOOST",),
)
SET_WEIGHT = _reactor(
    "SetWeight",
    "Set Face Swap Weight",
    ("input_image", "source_image", "face_model"),
    (Widget("faceswap_weight", "50%"),),
    ("IMAGE", "FACE_MODEL"),
)
MASK_HELPER = _reactor(
    "MaskHelper",
    "Masking Helper",
    ("image", "swapped_image", "mask_optional"),
    (
        Widget("bbox_model_name", ""),
        Widget("bbox_threshold", 0.5),
        Widget("bbox_dilation", 10),
        Widget("bbox_crop_factor", 3.0),
        Widget("bbox_drop_size", 10),
        Widget("sam_model_name", ""),
        Widget("sam_dilation", 0),
        Widget("sam_threshold", 0.93),
        Widget("bbox_expansion", 0),
        Widget("mask_hint_threshold", 0.7),
        Widget("mask_hint_use_negative", "False"),
        Widget("morphology_operation", "dilate", choices=("dilate", "erode", "open", "close")),
        Widget("morphology_distance", 0),
        Widget("blur_radius", 9),
        Widget("sigma_factor", 1.0),
    ),
    ("IMAGE", "MASK", "IMAGE", "IMAGE"),
)
LOAD_FACE_MODEL = _reactor(
    "LoadFaceModel", "Load Face Model", (), (Widget("face_model", "none"),), ("FACE_MODEL", "STRING")
)
SAVE_FACE_MODEL = _reactor(
    "SaveFaceModel",
    "Save Face Model",
    ("image", "face_model"),
    (Widget("save_mode", True), Widget("face_model_name", "default"), Widget("select_face_index", 0, True)),
    (),
)
BUILD_FACE_MODEL = _reactor(
    "BuildFaceModel",
    "Build Blended Face Model",
    ("images", "face_models"),
    (
        Widget("save_mode", True),
        Widget("send_only", False, True),
        Widget("face_model_name", "default"),
        Widget("compute_method", "Mean", choices=("Mean", "Median", "Mode")),
    ),
    ("FACE_MODEL",),
)
FACE_MODEL_BATCH = _reactor(
    "MakeFaceModelBatch",
    "Make Face Model Batch",
    tuple(f"face_model{number}" for number in range(1, 11)),
    (),
    ("FACE_MODEL",),
)
RESTORE = _reactor("RestoreFace", "Restore Face", ("image",), _RESTORE, ("IMAGE",))
RESTORE_CHOSEN = _reactor(
    "RestoreFaceAdvanced",
    "Restore Face Advanced",
    ("image",),
    (
        *_RESTORE,
        Widget("face_selection", "all", choices=("all", "filter", "largest")),
        Widget("sort_by", "area", choices=("area", "x_position", "y_position", "detection_confidence")),
        Widget("reverse_order", False),
        Widget("take_start", 0),
        Widget("take_count", 1),
    ),
    ("IMAGE",),
)
SIMILARITY = _reactor("FaceSimilarity", "Face Similarity", ("image1", "image2"), (), ("FLOAT", "STRING"))
REPEAT = _reactor("ImageDublicator", "Image Dublicator (List)", ("image",), (Widget("count", 1),), ("IMAGE",))
UNLOAD = _reactor("Unload", "Unload ReActor Models", ("trigger",), (), ("IMAGE",))
RGB = ForeignNode("ImageRGBA2RGB", _REACTOR, ("Convert RGBA to RGB 🌌 ReActor",), ("image",), (), ("IMAGE",))

MTB_ANALYSIS = ForeignNode(
    "Load Face Analysis Model (mtb)", _MTB, (), (), (Widget("faceswap_model", "buffalo_l"),), ("FACE_ANALYSIS_MODEL",)
)
MTB_MODEL = ForeignNode(
    "Load Face Swap Model (mtb)", _MTB, (), (), (Widget("faceswap_model", "inswapper_128.onnx"),), ("FACESWAP_MODEL",)
)
MTB_SWAP = ForeignNode(
    "Face Swap (mtb)",
    _MTB,
    (),
    ("image", "reference", "faceanalysis_model", "faceswap_model"),
    (Widget("faces_index", "0"), Widget("preserve_alpha", True, True)),
    ("IMAGE",),
)

_ROOP_SWAP = (
    _MODEL,
    Widget("faces_index", "0"),
    Widget("reference_faces_index", "0"),
)
_ROOP_LOG_LEVEL = Widget("console_logging_level", 0, True, (0, 1, 2))
ROOP = ForeignNode("roop", _ROOP, ("roop",), ("image", "reference_image"), (*_ROOP_SWAP, _ROOP_LOG_LEVEL), ("IMAGE",))
ROOP_IMPROVED = ForeignNode(
    "RoopImproved",
    _ROOP,
    ("Roop (Improved)",),
    ("image", "reference_image"),
    (
        *_ROOP_SWAP,
        Widget("face_order", "left to right", choices=_ROOP_ORDERS),
        Widget("reverse_order", False),
        Widget("reference_order", "left to right", choices=_ROOP_ORDERS),
        Widget("reverse_reference_order", False),
        _ROOP_LOG_LEVEL,
    ),
    ("IMAGE",),
)

FOREIGN_NODES = {
    node.node_id: node
    for node in (
        SWAP,
        SWAP_WITH_OPTIONS,
        OPTIONS,
        FACE_BOOST,
        SET_WEIGHT,
        MASK_HELPER,
        LOAD_FACE_MODEL,
        SAVE_FACE_MODEL,
        BUILD_FACE_MODEL,
        FACE_MODEL_BATCH,
        RESTORE,
        RESTORE_CHOSEN,
        SIMILARITY,
        REPEAT,
        UNLOAD,
        RGB,
        MTB_ANALYSIS,
        MTB_MODEL,
        MTB_SWAP,
        ROOP,
        ROOP_IMPROVED,
    )
}
"""The nodes by class."""
