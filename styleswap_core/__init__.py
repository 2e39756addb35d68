"""StyleSwap: face swapping with a style-based generator (Xu et al., ECCV 2022).

    from styleswap_core import Swapper, extract_identity, load_face_analysis, load_image, load_model, save_image

    analysis = load_face_analysis()
    identity, _ = extract_identity(["alice.png"], analysis)
    result = Swapper(load_model(), analysis).swap(load_image("party.png"), identity)
    save_image("swapped.png", result.image)

The names below are imported when they are first used, so that importing the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0"

_PUBLIC = {
    "AlignedFaces": ".pipeline.face_aligner",
    "BlendOptions": ".compositing.composite",
    "ClipOptions": ".video.clip_plan",
    "ContentSigner": ".credentials.signing",
    "EncodingOptions": ".media.encoders",
    "Extraction": ".identities.extraction",
    "FaceChoice": ".faces.choice",
    "FaceMasks": ".masking.face_masks",
    "GuestFile": ".swappers.guest_files",
    "GuestNetwork": ".swappers.guest_network",
    "Identity": ".identities.identity",
    "MaskOptions": ".pipeline.masked_faces",
    "MaskedFaces": ".pipeline.masked_faces",
    "PlacedFaces": ".compositing.placed_faces",
    "RecognizerId": ".faces.recognizer_id",
    "StyleSwapError": ".errors",
    "StyleSwapNetwork": ".swappers.styleswap_network",
    "SwapFacts": ".identities.provenance",
    "SwapOptions": ".pipeline.swap_options",
    "SwapResult": ".pipeline.results",
    "Swapper": ".pipeline.swapper",
    "SwappingNetwork": ".swappers.network",
    "TrackingOptions": ".tracking.tracking_options",
    "align_faces": ".pipeline.face_aligner",
    "align_placed": ".pipeline.face_aligner",
    "blend_identities": ".identities.averaging",
    "blend_with_mask": ".compositing.composite",
    "cosine_similarity": ".identities.averaging",
    "extract_identities": ".identities.extraction",
    "extract_identity": ".identities.extraction",
    "guest_folders": ".swappers.guest_files",
    "list_guests": ".swappers.guest_files",
    "load_any_identity": ".identities.reactor_files",
    "load_face_analysis": ".faces.analysis",
    "load_face_masks": ".masking.face_masks",
    "load_identity": ".identities.identity_format",
    "load_image": ".io.images",
    "load_model": ".swappers.model_files",
    "load_places": ".compositing.places_file",
    "load_signing_key": ".credentials.signing_key",
    "mask_faces": ".pipeline.masked_faces",
    "mask_placed": ".pipeline.masked_faces",
    "migrate_workflow": ".migration.migrate",
    "paste_faces": ".compositing.crop_pasting",
    "read_credentials": ".credentials.reading",
    "read_workflow": ".migration.saved_graphs",
    "save_identity": ".identities.identity_format",
    "save_identity_as": ".identities.saving",
    "save_image": ".io.images",
    "save_places": ".compositing.places_file",
    "swap_facts": ".swappers.swap_marks",
    "swap_video": ".video.swap_video",
}

if TYPE_CHECKING:
    from .compositing.composite import BlendOptions as BlendOptions
    from .compositing.composite import blend_with_mask as blend_with_mask
    from .compositing.crop_pasting import paste_faces as paste_faces
    from .compositing.placed_faces import PlacedFaces as PlacedFaces
    from .compositing.places_file import load_places as load_places
    from .compositing.places_file import save_places as save_places
    from .credentials.reading import read_credentials as read_credentials
    from .credentials.signing import ContentSigner as ContentSigner
    from .credentials.signing_key import load_signing_key as load_signing_key
    from .errors import StyleSwapError as StyleSwapError
    from .faces.analysis import load_face_analysis as load_face_analysis
    from .faces.choice import FaceChoice as FaceChoice
    from .faces.recognizer_id import RecognizerId as RecognizerId
    from .identities.averaging import blend_identities as blend_identities
    from .identities.averaging import cosine_similarity as cosine_similarity
    from .identities.extraction import Extraction as Extraction
    from .identities.extraction import extract_identities as extract_identities
    from .identities.extraction import extract_identity as extract_identity
    from .identities.identity import Identity as Identity
    from .identities.identity_format import load_identity as load_identity
    from .identities.identity_format import save_identity as save_identity
    from .identities.provenance import SwapFacts as SwapFacts
    from .identities.reactor_files import load_any_identity as load_any_identity
    from .identities.saving import save_identity_as as save_identity_as
    from .io.images import load_image as load_image
    from .io.images import save_image as save_image
    from .masking.face_masks import FaceMasks as FaceMasks
    from .masking.face_masks import load_face_masks as load_face_masks
    from .media.encoders import EncodingOptions as EncodingOptions
    from .migration.migrate import migrate_workflow as migrate_workflow
    from .migration.saved_graphs import read_workflow as read_workflow
    from .pipeline.face_aligner import AlignedFaces as AlignedFaces
    from .pipeline.face_aligner import align_faces as align_faces
    from .pipeline.face_aligner import align_placed as align_placed
    from .pipeline.masked_faces import MaskedFaces as MaskedFaces
    from .pipeline.masked_faces import MaskOptions as MaskOptions
    from .pipeline.masked_faces import mask_faces as mask_faces
    from .pipeline.masked_faces import mask_placed as mask_placed
    from .pipeline.results import SwapResult as SwapResult
    from .pipeline.swap_options import SwapOptions as SwapOptions
    from .pipeline.swapper import Swapper as Swapper
    from .swappers.guest_files import GuestFile as GuestFile
    from .swappers.guest_files import guest_folders as guest_folders
    from .swappers.guest_files import list_guests as list_guests
    from .swappers.guest_network import GuestNetwork as GuestNetwork
    from .swappers.model_files import load_model as load_model
    from .swappers.network import SwappingNetwork as SwappingNetwork
    from .swappers.styleswap_network import StyleSwapNetwork as StyleSwapNetwork
    from .swappers.swap_marks import swap_facts as swap_facts


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_PUBLIC[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
