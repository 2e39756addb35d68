"""Recognition of foreign swapping networks by what their files declare; no weights are read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import StyleSwapError
from ..faces.alignment import TEMPLATES
from ..faces.onnx_summary import GraphValue, Initializer, OnnxSummary, summarize_onnx
from ..faces.recognizer_id import RecognizerId
from .guest_families import EMBEDDING_LENGTH, FAMILIES, FAMILY_NAMES, GuestFamily, Source, find_family

SUFFIXES = (".onnx", ".dfm")
"""Suffixes of the files."""

FOLDER_NAMES = ("insightface", "reswapper", "hyperswap", "styleswap")
"""Folders under ComfyUI's `models` in which node packs keep the files."""

_MORPH = "morph_value"
_SIDE_IN_NAME = re.compile(r"(?<!\d)(128|160|224|256|320|384|512)(?!\d)")


@dataclass(frozen=True)
class GuestForm:
    """Inputs and outputs of a swapping network.

    Attributes:
        summary: The file.
        target: Input of the target crop.
        size: Side of the crop in pixels.
        channels_last: Whether it is (B, S, S, 3) instead of (B, 3, S, S).
        source: Input of the source; None if there is none.
        morph: Input of the morph value; None if there is none.
        emap: Last initializer, if it is (512, 512).
    """

    summary: OnnxSummary
    target: GraphValue
    size: int
    channels_last: bool
    source: GraphValue | None
    morph: GraphValue | None
    emap: Initializer | None

    @property
    def vector_length(self) -> int:
        """Length of the source vector, where the source is one."""
        declared = self.source.shape[1] if self.source is not None and len(self.source.shape) == 2 else None
        return declared or EMBEDDING_LENGTH

    @property
    def exported(self) -> str:
        """Family whose form a generator of this project was exported in; empty for files of other programs."""
        named = self.summary.metadata.get("styleswap_form", "")
        return named if named in FAMILIES else ""

    def fits(self, family: GuestFamily) -> bool:
        """Whether a file of this form can belong to a family, apart from its size."""
        outputs = len(self.summary.outputs)
        if family.source is Source.NONE:
            return self.channels_last and self.source is None and outputs == 3
        if self.channels_last or self.source is None or outputs != 1 + family.has_mask:
            return False
        if family.source is Source.PORTRAIT:
            return len(self.source.shape) == 4 and self.source.shape[2] in (family.portrait[1], None)
        own = self.exported == family.name and family.source is Source.EMBEDDING
        return len(self.source.shape) == 2 and (own or self.vector_length == EMBEDDING_LENGTH)

    def is_usual(self, family: GuestFamily) -> bool:
        """Whether a file of this form is like the published ones of a family that it fits."""
        usual = not family.sizes or self.size in family.sizes
        # Of 128 px there are only inswapper, whose file has the matrix, and ReSwapper, whose file may lack it.
        if usual and self.size == 128 and family.source is Source.EMAP:
            return (family.name == "inswapper") == (self.emap is not None)
        return usual


@dataclass(frozen=True)
class GuestFile:
    """A file of a swapping network that was recognized.

    Attributes:
        path: The file.
        form: Its inputs and outputs.
        families: The family, or the choices if the file does not tell them apart.
    """

    path: Path
    form: GuestForm
    families: tuple[GuestFamily, ...]

    @property
    def family(self) -> GuestFamily:
        """The family.

        Raises:
            StyleSwapError: The file does not tell; the user has to.
        """
        if len(self.families) == 1:
            return self.families[0]
        choices = ", ".join(family.name for family in self.families)
        raise StyleSwapError(
            f"{self.path.name} may belong to several families ({choices}), and its name does not tell which; choose"
            " the family, or give the file its original name"
        )

    @property
    def name(self) -> str:
        """Name for reports, such as "inswapper_128 (inswapper)"."""
        return f"{self.path.stem} ({' or '.join(family.name for family in self.families)})"

    @property
    def template(self) -> str:
        """Template of its crops, for `alignment.template_points`."""
        own = self.form.summary.metadata.get("styleswap_template", "")
        return own if self.form.exported and own in TEMPLATES else self.family.crop_template(self.size)

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if it takes those of any, or none."""
        if not self.form.exported:
            return self.family.recognizer
        name, sha256 = (
            self.form.summary.metadata.get(f"styleswap_{key}", "") for key in ("recognizer", "recognizer_sha256")
        )
        return RecognizerId(name, sha256, self.form.vector_length)

    @property
    def size(self) -> int:
        """Side of its crops in pixels."""
        return self.form.size

    @property
    def license(self) -> str:
        """License of the family, as a phrase."""
        if self.form.exported:
            return "that of the StyleSwap model it was exported from"
        licenses = dict.fromkeys(family.license for family in self.families)
        return next(iter(licenses)) if len(licenses) == 1 else "that of its family, which its name does not tell"

    @property
    def maker(self) -> str:
        """Who published it, as a phrase."""
        return "the author of that model" if self.form.exported else self.family.maker


def read_guest(path: str | Path, family: str = "") -> GuestFile:
    """Recognize the file of a swapping network.

    Args:
        path: An .onnx or .dfm file.
        family: Name of its family, if the user knows it.

    Raises:
        StyleSwapError: The file is missing, damaged, no swapping network, not of that family, or keeps its weights
            outside its folder.
    """
    path = Path(path)
    named = find_family(family) if family else None
    summary = summarize_onnx(path)
    form = _read_form(summary)
    fitting = [one for one in FAMILIES.values() if form is not None and form.fits(one)]
    if form is None or not fitting:
        raise StyleSwapError(
            f"expected a swapping network out of the families {', '.join(FAMILY_NAMES)}, but {path.name} has"
            f" {summary.describe()}; choose another file"
        )
    if named is not None and named not in fitting:
        raise StyleSwapError(
            f"{path.name} is no network of the family {named.name}: it has {summary.describe()}; choose out of"
            f" {', '.join(one.name for one in fitting)}"
        )
    summary.external_files()
    return GuestFile(path, form, (named,) if named else _candidates(path, form, fitting))


def list_guests(folders: Iterable[str | Path]) -> list[GuestFile]:
    """Swapping networks in folders, sorted by name; other files are left out, and only the graphs are read.

    Args:
        folders: Folders to look in, without their subfolders; those that do not exist or cannot be read are left out.
    """
    found: dict[Path, GuestFile] = {}
    for folder in map(Path, folders):
        for path in _files(folder):
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.resolve() not in found:
                status = path.stat()
                guest = _guest_or_none(path, status.st_size, status.st_mtime_ns)
                if guest is not None:
                    found[path.resolve()] = guest
    return sorted(found.values(), key=lambda guest: (guest.path.name.lower(), str(guest.path)))


def guest_folders(models: str | Path = "models") -> list[Path]:
    """Folders in which the files usually lie.

    Args:
        models: ComfyUI's folder `models`.
    """
    return [Path(models) / name for name in FOLDER_NAMES]


def _files(folder: Path) -> list[Path]:
    """Sorted content of a folder; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


@lru_cache(maxsize=256)
def _guest_or_none(path: Path, size: int, modified: int) -> GuestFile | None:
    """The file if it is a swapping network; size and time of modification tell whether it has changed."""
    try:
        return read_guest(path)
    except StyleSwapError:
        return None


def _candidates(path: Path, form: GuestForm, fitting: list[GuestFamily]) -> tuple[GuestFamily, ...]:
    """The family that the file, its name or its form tells, or the choices."""
    if form.exported:
        return (FAMILIES[form.exported],)
    stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower())
    spelled = [(form.is_usual(one), len(start), one) for one in fitting for start in one.spellings if start in stem]
    if spelled:
        return (max(spelled, key=lambda match: match[:2])[2],)
    usual = tuple(one for one in fitting if form.is_usual(one))
    return usual or tuple(fitting)


def _read_form(summary: OnnxSummary) -> GuestForm | None:
    """Form of a swapping network, or None."""
    by_name = {value.name.split(":")[0].lower(): value for value in summary.inputs}
    morph = by_name.pop(_MORPH, None)
    pictures = [value for value in by_name.values() if len(value.shape) == 4]
    target = by_name.get("target") or by_name.get("in_face") or (pictures[0] if len(pictures) == 1 else None)
    others = [value for value in by_name.values() if value is not target]
    if target is None or len(target.shape) != 4 or len(others) > 1:
        return None
    if not summary.outputs or any(len(value.shape) not in (0, 4) for value in summary.outputs):
        return None
    channels_last = target.shape[3] == 3
    sides = target.shape[1:3] if channels_last else target.shape[2:4]
    if not channels_last and target.shape[1] not in (3, None):
        return None
    size = _side(sides, summary.path)
    if not size:
        return None
    last = summary.initializers[-1] if summary.initializers else None
    emap = last if last is not None and last.shape == (EMBEDDING_LENGTH, EMBEDDING_LENGTH) else None
    return GuestForm(summary, target, size, channels_last, others[0] if others else None, morph, emap)


def _side(sides: tuple[int | None, ...], path: Path) -> int:
    """Side of the square crop; where the file leaves it free, the one in its name; 0 if there is none."""
    if sides[0] != sides[1]:
        return 0
    if sides[0] is not None:
        return sides[0]
    named = _SIDE_IN_NAME.search(path.stem)
    return int(named.group()) if named else 0
