"""From an identity to the source input of a foreign swapping network."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points, warp
from ..faces.onnx_summary import summarize_onnx
from ..identities.identity import Identity
from .guest_families import EMBEDDING_LENGTH, GuestFamily, Source
from .guest_files import FOLDER_NAMES, GuestFile, list_guests
from .guest_session import GuestSession


class SourceRoute:
    """Route from identities to the source input of one network.

    Attributes:
        family: Family of the network.
        sha256: Hash of the network's file, to which inverted identities are bound.
    """

    def __init__(self, guest: GuestFile, sha256: str, folders: Sequence[Path]) -> None:
        """Load what the route needs: the matrix of inswapper, or a converter network.

        Args:
            guest: The network.
            sha256: Hash of its file.
            folders: Folders that may hold the files that the network needs.

        Raises:
            StyleSwapError: A file that the network needs is missing or damaged.
        """
        self.family, self.sha256, self._length = guest.family, sha256, guest.form.vector_length
        self._recognizer = guest.recognizer
        self._emap: Tensor | None = None
        self._converter: GuestSession | None = None
        places = search_folders(guest.path, folders)
        if self.family.source is Source.EMAP:
            self._emap = _find_emap(guest, places)
        elif self.family.source is Source.CONVERTED:
            self._converter = _open_converter(self.family, places)

    def close(self) -> None:
        """Free the memory of the converter; the next use opens it again."""
        if self._converter is not None:
            self._converter.close()

    def memory_bytes(self) -> int:
        """Estimate of the memory that the converter takes."""
        return 0 if self._converter is None else self._converter.memory_bytes()

    def check(self, identity: Identity) -> None:
        """Check that an identity has what the route needs.

        Raises:
            StyleSwapError: It lacks it.
        """
        name = self.family.name
        if identity.w_plus is not None and identity.generator_sha256 == self.sha256:
            if tuple(identity.w_plus.shape) != (1, self._length):
                raise StyleSwapError(
                    f"expected w_plus (1, {self._length}) for {name}, got {tuple(identity.w_plus.shape)}; invert"
                    " the identity again"
                )
            return
        if self.family.source is Source.PORTRAIT and identity.portrait is None:
            raise StyleSwapError(
                f"{name} takes a portrait of the source face, which this identity lacks; extract it again from a"
                " picture, and turn portrait on in Save Identity (--portrait) if you save it"
            )
        if self.family.source.is_vector and len(identity.id_embedding) != self._length:
            raise StyleSwapError(
                f"{name} takes embeddings of {self._length} numbers, and this identity has"
                f" {len(identity.id_embedding)}, from {identity.recognizer}; extract it with a face analysis that has"
                f" {self._recognizer.name or 'another recognizer'}"
            )
        self._check_norm(identity)

    def _check_norm(self, identity: Identity) -> None:
        if self.family.source is Source.CONVERTED and not identity.embedding_norm:
            raise StyleSwapError(
                f"{self.family.name} takes embeddings before their normalization, and this identity does not tell their"
                " length (it was saved by an older version, or mixed from such); extract it again"
            )

    def numbers(
        self, identities: Sequence[Identity], own_embeddings: Tensor | None = None, strength: float = 1.0
    ) -> Tensor:
        """Source input for a batch.

        Args:
            identities: B source identities.
            own_embeddings: (B, D), L2-normalized embeddings of the target faces, for a strength other than 1.
            strength: See `SwappingNetwork.swap_crops`.

        Returns:
            (B, 512) float32, or (B, 3, S, S) float32, 0..1, on the CPU.

        Raises:
            StyleSwapError: An identity lacks what the network needs, or the network knows no other strength than 1.
        """
        for identity in identities:
            self.check(identity)
        if strength != 1.0 and (own_embeddings is None or not self.family.source.is_vector):
            raise StyleSwapError(
                f"{self.family.name} takes {self.family.source.value}, which cannot be mixed with the target's own"
                " identity; set the strength to 1"
            )
        if self.family.source is Source.PORTRAIT:
            cut = {id(identity): identity for identity in identities}
            portraits = {key: self._portrait(identity) for key, identity in cut.items()}
            return torch.stack([portraits[id(identity)] for identity in identities])
        own = None if strength == 1.0 or own_embeddings is None else own_embeddings.detach().cpu().float()
        # Phases and frames repeat the same person.
        known: dict[tuple[int, bytes], Tensor] = {}
        rows = []
        for row, identity in enumerate(identities):
            key = id(identity), b"" if own is None else own[row].numpy().tobytes()
            if key not in known:
                known[key] = self._vector(identity, None if own is None else own[row], strength)
            rows.append(known[key])
        return torch.stack(rows)

    def _vector(self, identity: Identity, own: Tensor | None, strength: float) -> Tensor:
        """(512,) source numbers of one identity."""
        if identity.w_plus is not None and identity.generator_sha256 == self.sha256:
            numbers = identity.w_plus[0]
            if own is None:
                return numbers
            # The norm of inverted numbers is kept: only their direction is moved.
            self._check_norm(identity)
            own_numbers = self._convert(own, identity.embedding_norm)
            mixed = torch.lerp(F.normalize(own_numbers, dim=0), F.normalize(numbers, dim=0), strength)
            return F.normalize(mixed, dim=0) * numbers.norm()
        embedding = identity.id_embedding
        if own is not None:
            embedding = F.normalize(torch.lerp(own, embedding, strength), dim=0)
        return self._convert(embedding, identity.embedding_norm)

    def _convert(self, embedding: Tensor, norm: float) -> Tensor:
        """(512,) source numbers of an L2-normalized embedding."""
        if self._emap is not None:
            return F.normalize(embedding @ self._emap, dim=0)
        if self._converter is None:
            return embedding
        raw = (embedding * norm)[None].numpy().astype(np.float32)
        (output, *_) = self._converter.run({self._converter.summary.inputs[0].name: raw})
        converted = torch.from_numpy(output).reshape(-1)
        return F.normalize(converted, dim=0) if self.family.converted_norm else converted

    def _portrait(self, identity: Identity) -> Tensor:
        """(3, S, S), 0..1: the source picture of one identity."""
        assert identity.portrait is not None
        size = self.family.portrait[1]
        picture = identity.portrait[None].float() / 255.0
        points = identity.portrait_points
        if points is None:
            points = template_points("ffhq", picture.shape[-1])
        matrix = estimate_similarity(points[None], template_points(self.family.portrait_template(), size))
        return warp(picture, matrix, size, padding="border")[0].clamp(0.0, 1.0)


def search_folders(path: Path, folders: Iterable[Path]) -> list[Path]:
    """Folders that may hold what a network needs: its own, those beside it, and the given ones."""
    own = path.parent
    beside = [own.parent / name for name in FOLDER_NAMES]
    return list(dict.fromkeys([own, *folders, *beside]))


def _find_emap(guest: GuestFile, folders: Sequence[Path]) -> Tensor:
    """Matrix (512, 512) of inswapper, from the file or from a file of inswapper in one of the folders."""
    stored = guest.form.emap
    # ReSwapper's files end in the matrix or in a weight, which may have the same shape.
    if stored is not None and (guest.family.name == "inswapper" or not stored.used):
        return torch.from_numpy(guest.form.summary.tensor(stored).astype(np.float32))
    for other in list_guests(folders):
        emap = other.form.emap
        if emap is not None and [family.name for family in other.families] == ["inswapper"]:
            return torch.from_numpy(other.form.summary.tensor(emap).astype(np.float32))
    raise StyleSwapError(
        f"{guest.path.name} needs the matrix emap, which is not in it: put inswapper_128.onnx, which has it, into"
        f" {_list(folders)}"
    )


def _open_converter(family: GuestFamily, folders: Sequence[Path]) -> GuestSession:
    """Converter network of a family from one of the folders."""
    path = next((folder / family.converter for folder in folders if (folder / family.converter).is_file()), None)
    if path is None:
        raise StyleSwapError(
            f"{family.name} needs the embedding converter {family.converter}; put it into {_list(folders)}"
        )
    summary = summarize_onnx(path)
    shapes = [value.shape for value in (*summary.inputs, *summary.outputs)]
    if len(shapes) != 2 or any(len(shape) != 2 or shape[1] not in (EMBEDDING_LENGTH, None) for shape in shapes):
        raise StyleSwapError(
            f"expected a converter from 512 to 512 numbers, but {path} has {summary.describe()}; replace the file"
        )
    # Small enough for the CPU, where the embeddings are.
    return GuestSession(summary, torch.device("cpu"))


def _list(folders: Sequence[Path]) -> str:
    return " or ".join(map(str, folders[:4]))
