"""A teacher: a swapping network that gives pictures of a prepared set the faces of other people of the set."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.detected import FaceAnalyzer
from ..faces.recognizer_id import check_recognizer
from ..identities.identity import Identity
from ..identities.portraits import cut_portrait
from ..swappers.guest_families import Source
from ..swappers.guest_network import GuestNetwork
from ..swappers.model_files import load_model
from ..swappers.network import check_identity
from .prepared_set import PreparedSet, ShardReader
from .teacher_settings import TeacherSettings


class Teacher:
    """A swapping network that fits the face analysis of a preparation.

    Attributes:
        settings: Its settings.
        network: The network.
        analyzer: The face analysis.
    """

    def __init__(self, settings: TeacherSettings, analyzer: FaceAnalyzer, device: str | None = None) -> None:
        """Load the network.

        Args:
            settings: File and settings.
            analyzer: The face analysis with which the set is prepared.
            device: Where the network runs; by default CUDA if there is one, otherwise the CPU.

        Raises:
            StyleSwapError: The file is missing or damaged, takes no source person, or needs embeddings of another
                recognizer.
        """
        self.settings, self.analyzer = settings, analyzer
        # Not baked, since each identity is used for a few pictures only.
        self.network = load_model(
            settings.file, device, baked=False, family=settings.family, any_recognizer=settings.any_recognizer
        )
        self._source = Source.EMBEDDING
        if isinstance(self.network, GuestNetwork):
            self._source = self.network.family.source
        if self._source is Source.NONE:
            raise StyleSwapError(
                f"{self.network.name} contains its own person and cannot give a picture the face of another one of the "
                "set; choose another teacher"
            )
        check_recognizer(
            self.network.recognizer,
            analyzer.recognizer,
            "the pictures are prepared with",
            "prepare them with the --pack that belongs to the teacher, or choose another teacher",
        )

    @property
    def file(self) -> str:
        """Name of the network's file."""
        return Path(self.settings.file).name

    def notes(self) -> list[str]:
        """What a user should know before the network runs."""
        notes = [self.network.license_note] if isinstance(self.network, GuestNetwork) else []
        # A network that was trained on rendered faces fits no other recognizer than that of rendered faces.
        notice = self.network.notice(rendered=True)
        return notes + ([notice] if notice else [])

    def identity(self, prepared: PreparedSet, reader: ShardReader, row: int) -> Identity:
        """Identity of the person in a picture of the set, with all that the network needs."""
        embedding = torch.from_numpy(np.array(prepared.embeddings[row], dtype=np.float32))
        points, recognizer = np.array(prepared.rows["points"][row], np.float32), self.analyzer.recognizer
        identity = Identity(embedding, recognizer)
        if self._source is Source.CONVERTED:
            norm = self.analyzer.embed_with_norm(reader.image(row), points)[1]
            identity = Identity(embedding, recognizer, embedding_norm=norm)
        elif self._source is Source.PORTRAIT:
            portrait = cut_portrait(reader.image(row), points)
            identity = Identity(embedding, recognizer, portrait=portrait.picture, portrait_points=portrait.points)
        check_identity(self.network, identity, recognizer)
        return identity

    def recorded(self) -> dict[str, Any]:
        """What must not change while the swaps of a set are made."""
        settings = self.settings
        return {
            "sha256": self.network.sha256,
            "swaps": settings.swaps,
            "likeness": settings.likeness,
            "family": settings.family,
        }

    def describe(self) -> dict[str, Any]:
        """What the manifest of the set states about the teacher."""
        network = self.network
        license_note = network.license_note if isinstance(network, GuestNetwork) else ""
        return {
            "file": self.file,
            "name": network.name,
            "sha256": network.sha256,
            "license": license_note,
            "masks": network.has_mask,
            "swaps": self.settings.swaps,
            "likeness": self.settings.likeness,
        }

    def close(self) -> None:
        """Free the memory of a foreign network."""
        if isinstance(self.network, GuestNetwork):
            self.network.close()
