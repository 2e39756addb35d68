"""Everything that a file states about how it was made, and whether training on it is forbidden."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError, decoding
from ..identities.provenance import MARK, SwapFacts
from ..io.file_kinds import VIDEO_SUFFIXES
from ..io.picture_file import read_texts
from .reading import ContentCredentials, read_credentials
from .training_consent import training_ban


@dataclass(frozen=True)
class FileStatements:
    """Statements in a file.

    Attributes:
        path: The file.
        credentials: Its Content Credentials, or None.
        mark: Its text entry of a swap; empty if it has none.
        training_ban: What in it forbids training; empty if nothing does.
    """

    path: Path
    credentials: ContentCredentials | None
    mark: str
    training_ban: str

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values; `state` is "none" without credentials."""
        found = self.credentials
        return {
            "file": str(self.path),
            "state": "none" if found is None else found.state,
            "credentials": None if found is None else asdict(found),
            "text_entry": self.mark or None,
            "training_ban": self.training_ban or None,
        }


def read_statements(path: str | Path, trusted: str | Path | None = None) -> FileStatements:
    """Statements in a file.

    Args:
        path: Any file.
        trusted: PEM file with certificates of issuers to trust.

    Raises:
        StyleSwapError: As for `read_credentials`.
    """
    path = Path(path)
    credentials = read_credentials(path, trusted)
    return FileStatements(path, credentials, _mark(path), training_ban(path))


def _mark(path: Path) -> str:
    """Text entry of a swap in a picture, or in the metadata of a video.

    Containers that only know fixed keys hold it at the end of the comment.
    """
    try:
        texts = _video_texts(path) if path.suffix.lower() in VIDEO_SUFFIXES else read_texts(path)
    except StyleSwapError:
        return ""
    comments = texts.get("comment", "").rsplit("; face swapped", 1)
    comment = f"face swapped{comments[1]}" if len(comments) > 1 else comments[0]
    return texts.get(MARK) or (comment if SwapFacts.parse(comment) else "")


def _video_texts(path: Path) -> dict[str, str]:
    import av

    with (
        decoding(f"{path} is not a readable video", "convert it"),
        av.open(str(path), "r", metadata_errors="replace") as container,
    ):
        return dict(container.metadata)
