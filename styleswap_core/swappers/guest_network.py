"""Foreign swapping networks behind the interface of this project, run by ONNX Runtime."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.onnx_summary import FLOAT16, GraphValue
from ..faces.recognizer_id import RecognizerId
from ..identities.identity import Identity
from .embedding_routes import SourceRoute
from .guest_families import GuestFamily, Source
from .guest_files import GuestFile
from .guest_session import GuestSession, OutOfMemoryError
from .halved_batches import run_halved
from .network import SwappedCrops


class GuestNetwork:
    """A foreign swapping network behind the interface of `network.SwappingNetwork`.

    Attributes:
        file: Its file, with the family.
        name: Name for reports, such as "inswapper_128 (inswapper)".
        phased: True: it has one resolution, and more of it takes several runs.
    """

    def __init__(
        self,
        file: GuestFile,
        device: torch.device,
        *,
        folders: Sequence[Path] = (),
        any_recognizer: bool = False,
        threads: int = 0,
    ) -> None:
        """Open a network.

        Args:
            file: Its file.
            device: Where to run it, and where its results are.
            folders: Folders that may hold further files that it needs.
            any_recognizer: Take embeddings of any recognizer, instead of only those that it was trained with.
            threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.

        Raises:
            StyleSwapError: The family is unclear, a file that the network needs is missing, or ONNX Runtime cannot load
                it.
        """
        self.file, self.name, self.phased = file, file.name, True
        self._opened_with = (file, device, tuple(folders), any_recognizer, threads)
        self._family, self._device = file.family, device
        self._recognizer = RecognizerId() if any_recognizer else file.recognizer
        self._session = GuestSession(file.form.summary, device, threads)
        self._route = SourceRoute(file, self._session.sha256, folders)

    def __reduce__(self) -> "tuple[Callable[..., GuestNetwork], tuple[object, ...]]":
        """Other processes open the file again, since sessions of ONNX Runtime cannot be sent."""
        return _opened, self._opened_with

    @property
    def family(self) -> GuestFamily:
        """Its family."""
        return self._family

    @property
    def size(self) -> int:
        """Edge length of its aligned crops in pixels."""
        return self.file.size

    @property
    def template(self) -> str:
        """Name of its crop template."""
        return self.file.template

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if it takes those of any, or none."""
        return self._recognizer

    @property
    def has_mask(self) -> bool:
        """Whether it predicts a mask."""
        return self._family.has_mask

    @property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        return self._session.sha256

    @property
    def device(self) -> torch.device:
        """Device of its results."""
        return self._device

    @property
    def provider(self) -> str:
        """Execution provider of ONNX Runtime that runs it."""
        return self._session.provider

    @property
    def fallback(self) -> str:
        """Why it does not run on the provider of its device; empty if it does."""
        return self._session.fallback

    @property
    def license_note(self) -> str:
        """Who published it, and its license."""
        return f"{self.name} by {self.file.maker}; license: {self.file.license}"

    @property
    def needs_identity(self) -> bool:
        """Whether it takes a source person; a dfm file contains its own."""
        return self._family.source is not Source.NONE

    def close(self) -> None:
        """Free its memory; the next use opens the file again."""
        self._session.close()
        self._route.close()

    def memory_bytes(self) -> int:
        """Estimate of the memory that it takes while it is open."""
        return self._session.memory_bytes() + self._route.memory_bytes()

    def check(self, identity: Identity) -> None:
        """Check what the network needs of an identity: its length, the norm of the embedding, or the portrait.

        Raises:
            StyleSwapError: The identity lacks it.
        """
        self._route.check(identity)

    def notice(self, rendered: bool = False) -> str | None:
        """Why the network does not run where it should, and that it ignores the identity; None if neither is so."""
        notices = []
        if not self.needs_identity:
            notices.append(f"{self.name} contains its own person; the identity is not used")
        if self.fallback:
            notices.append(
                f"{self.name} runs on the {self.provider} although the device is {self._device}: {self.fallback}"
            )
        return "; ".join(notices) or None

    def swap_crops(
        self,
        crops: Tensor,
        identities: Sequence[Identity],
        own_embeddings: Tensor | None = None,
        strength: float = 1.0,
    ) -> SwappedCrops:
        """Swap aligned crops (B, 3, S, S), -1..1, for B identities; see `SwappingNetwork.swap_crops`.

        Raises:
            StyleSwapError: An identity does not fit, the network knows no such strength, there is not enough memory for
                a single face, or the result is not finite.
        """
        form = self.file.form
        feeds = {form.target.name: _as_input(self.network_crops(crops.detach().cpu()), form.target)}
        if form.source is not None:
            feeds[form.source.name] = _as_input(self._route.numbers(identities, own_embeddings, strength), form.source)
        elif strength != 1.0 and (form.morph is None or strength > 1.0):
            limit = "at most 1" if form.morph is not None else "1, since it has no morph value"
            raise StyleSwapError(f"{self.name} contains its own person; its strength is {limit}, got {strength:g}")
        if form.morph is not None:
            feeds[form.morph.name] = _as_input(torch.tensor([strength]), form.morph)
        outputs = [torch.from_numpy(output) for output in self._run(feeds)]
        if not all(bool(torch.isfinite(output).all()) for output in outputs):
            raise StyleSwapError(
                f"{self.name} gave numbers that are not finite on {self._device}; use the file in float32, or another"
                " device"
            )
        rgb, mask = self.swapped(outputs)
        return SwappedCrops(rgb.contiguous().to(self._device), mask.contiguous().to(self._device))

    def cancel_by(self, check: Callable[[], None]) -> None:
        """Have `check` called before each run of the network; what it raises leaves `swap_crops`."""
        self._session.before_run = check

    def source_numbers(self, identities: Sequence[Identity]) -> Tensor:
        """What enters the network for B identities; see `SourceRoute.numbers`."""
        return self._route.numbers(identities)

    def _run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Outputs for a batch, which is halved when memory runs out."""
        form = self.file.form
        shared = {form.morph.name} if form.morph is not None else set()
        return run_halved(
            lambda rows: self._session.run(
                {name: value if name in shared else value[rows] for name, value in feeds.items()}
            ),
            slice(0, len(feeds[form.target.name])),
            lambda parts: [np.concatenate(outputs) for outputs in zip(*parts, strict=True)],
            full=OutOfMemoryError,
            problem=f"not enough memory on {self._device} for one face of {self.size} px with {self.name}; close other"
            " programs, or run it on the CPU",
        )

    def network_crops(self, crops: Tensor) -> Tensor:
        """Crops (B, 3, S, S), RGB, -1..1, in the range, channel order and layout of the network."""
        family = self._family
        mean, deviation = _channels(family.mean).to(crops.device), _channels(family.deviation).to(crops.device)
        crops = (crops.float() * 0.5 + 0.5 - mean) / deviation
        return crops.flip(1).permute(0, 2, 3, 1) if family.bgr_last else crops

    def swapped(self, outputs: Sequence[Tensor]) -> SwappedCrops:
        """Picture and mask from the outputs of the network; differentiable."""
        family = self._family
        if family.bgr_last:
            target_mask, face, source_mask = (output.permute(0, 3, 1, 2) for output in outputs)
            picture, mask = face.flip(1), torch.minimum(target_mask, source_mask)
        else:
            picture = outputs[0]
            mask = outputs[1] if family.has_mask else torch.ones_like(picture[:, :1])
        picture = (picture * family.out_scale + family.out_shift) * 2.0 - 1.0
        if not family.has_mask:
            # A picture that is blended by a mask is limited afterwards, like that of our own generator.
            picture = picture.clamp(-1.0, 1.0)
        return SwappedCrops(picture, mask.clamp(0.0, 1.0))


def _opened(
    file: GuestFile, device: torch.device, folders: Sequence[Path], any_recognizer: bool, threads: int
) -> GuestNetwork:
    return GuestNetwork(file, device, folders=folders, any_recognizer=any_recognizer, threads=threads)


def _channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def _as_input(values: Tensor, declared: GraphValue) -> np.ndarray:
    """Values in the element type of an input."""
    return np.ascontiguousarray(values.numpy(), dtype=np.float16 if declared.element == FLOAT16 else np.float32)
