"""Conversion of a foreign checkpoint to a generator, completely or not at all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..io.files import file_sha256
from ..model import PRESETS, Generator, GeneratorConfig
from ..model.layers import blur_kernel
from . import gpen, stylegan2, styleswap_paddle, styleswap_pytorch
from .foreign_files import ForeignFile, read_foreign
from .foreign_format import ForeignFormat, InferredFields, Link, Statement, Tensors
from .stylegan_names import as_pytorch_writes

FORMATS: dict[str, ForeignFormat] = {
    module.FORMAT.name: module.FORMAT for module in (styleswap_paddle, styleswap_pytorch, gpen, stylegan2)
}
_FRESH_SEED = 20261122  # makes conversions reproducible, including tensors that the checkpoint lacks
_KERNEL_TOLERANCE = 1e-5
# Limits of the network that is built for a checkpoint: weights per stored weight, plus a constant. Within them, missing
# tensors are listed; beyond them, the shapes of a few tensors claim far more than the file contains.
_MAX_GROWTH = 8
_MAX_NEW_ELEMENTS = 100_000_000


@dataclass(frozen=True)
class Conversion:
    """A converted generator.

    Attributes:
        generator: The generator.
        metadata: Metadata for its file.
        report: JSON values that tell where everything comes from: `format`, `part`, `not_read` (other parts of the
            file), `config`, `inferred` (fields from shapes), `stated` ({field: {value, why}}), `fresh` (our tensors
            that keep their initial values), `partly_fresh` (those that do in part, or are zero in part), `unused`
            (foreign tensors without a counterpart) and `starting_point`.
    """

    generator: Generator
    metadata: dict[str, object]
    report: dict[str, object]


def convert(
    path: str | Path,
    format_name: str | None = None,
    part: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Conversion:
    """Convert a checkpoint of one of FORMATS.

    Args:
        path: .pdparams, .pt, .pth or .safetensors.
        format_name: A key of FORMATS; by default detected from the names of the tensors.
        part: Name of a state dict in the file; see `read_foreign`.
        settings: Fields of GeneratorConfig that override those of the format, which must be `settable` in it.

    Raises:
        StyleSwapError: The file is unreadable, hostile or inconsistent; its format is unknown; tensors are missing,
            surplus or misshapen (all are listed); blur kernels differ; or a setting cannot be overridden.
    """
    path = Path(path)
    file = read_foreign(path, part)
    tensors = as_pytorch_writes(file.tensors, file.container)
    foreign = _format(path, format_name, tensors)
    inferred = _inferred(path, foreign, tensors)
    stated = _stated(foreign, inferred, settings or {})
    config = GeneratorConfig.from_dict({**inferred, **{name: entry["value"] for name, entry in stated.items()}})
    links = foreign.links(config)
    generator = _fresh_generator(path, config, tensors)
    _check(path, foreign, generator, links, tensors, file.others)
    fresh, partly = _fill(generator, links, tensors)
    report = {
        "format": foreign.name,
        "title": foreign.title,
        "starting_point": foreign.starting_point,
        "container": file.container,
        "part": file.part,
        "not_read": list(file.other_parts),
        "config": config.to_dict(),
        "inferred": inferred,
        "stated": stated,
        "tensors": len(links),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "fresh": fresh,
        "partly_fresh": partly,
        "unused": sorted(name for name in tensors if foreign.unused.match(name)),
    }
    return Conversion(generator, _metadata(path, foreign, file, config, report), report)


def training_command(config: GeneratorConfig, model_file: str | Path) -> str:
    """Command that starts training from a converted file: the nearest preset and the fields that differ from it."""
    ours = config.to_dict()
    presets = {name: preset.to_dict() for name, preset in PRESETS.items()}
    differences = {
        name: {key: value for key, value in ours.items() if value != fields[key]} for name, fields in presets.items()
    }
    for fields in differences.values():
        # Training has its own recognizer and always passes L2-normalized embeddings.
        fields.pop("recognizer", None)
        fields.pop("recognizer_sha256", None)
        fields.pop("embedding_norm", None)
    nearest = min(differences, key=lambda name: len(differences[name]))
    words = [
        "styleswap",
        "train",
        "--out",
        "RUN",
        "--set",
        "data=FOLDER",
        "--set",
        f"init_from={model_file}",
        "--set",
        f"model={nearest}",
    ]
    if differences[nearest]:
        words += ["--set", f"model_overrides={json.dumps(differences[nearest])}"]
    return shlex.join(words)


def _format(path: Path, name: str | None, tensors: Tensors) -> ForeignFormat:
    if name is not None:
        if name not in FORMATS:
            raise StyleSwapError(f"unknown format {name!r}; expected one of {', '.join(FORMATS)}")
        return FORMATS[name]
    for candidate in FORMATS.values():
        if candidate.matches(tensors):
            return candidate
    some = ", ".join(list(tensors)[:6])
    raise StyleSwapError(
        f"{path} has none of the known formats ({', '.join(FORMATS)}); its tensors are {some}, ...: "
        "choose the checkpoint of a generator, or pass --format to see what it lacks"
    )


def _inferred(path: Path, foreign: ForeignFormat, tensors: Tensors) -> InferredFields:
    try:
        return foreign.infer(tensors)
    except StyleSwapError as error:
        raise StyleSwapError(f"{path}: {error}") from error


def _stated(foreign: ForeignFormat, inferred: InferredFields, settings: Mapping[str, object]) -> dict[str, Statement]:
    """Fields that do not follow from shapes, with their reasons; the user's settings take precedence."""
    closed = sorted(set(settings) - set(foreign.settable))
    if closed:
        raise StyleSwapError(
            f"{', '.join(closed)} cannot be set for {foreign.name}, whose shapes or format determine it; "
            f"settable are {', '.join(foreign.settable)}"
        )
    stated: dict[str, Statement] = {
        name: {"value": entry.value, "why": entry.why} for name, entry in foreign.stated(inferred).items()
    }
    for name, value in settings.items():
        stated[name] = {"value": value, "why": "set explicitly"}
    return stated


def _fresh_generator(path: Path, config: GeneratorConfig, tensors: Tensors) -> Generator:
    there = sum(tensor.numel() for tensor in tensors.values())
    if config.min_elements > _MAX_GROWTH * there + _MAX_NEW_ELEMENTS:
        raise StyleSwapError(
            f"{path} is inconsistent: some shapes imply a network of at least {config.min_elements} weights, but the"
            f" file has {there}; download or copy the file again"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FRESH_SEED)
        return Generator(config)


def _check(
    path: Path,
    foreign: ForeignFormat,
    generator: Generator,
    links: Mapping[str, Link],
    tensors: Tensors,
    others: tuple[str, ...],
) -> None:
    """Raise a StyleSwapError that lists every tensor that is missing, surplus, misshapen or not floating-point."""
    config = generator.config
    ours = {name: tuple(tensor.shape) for name, tensor in generator.state_dict().items()}
    expected = {link.theirs: link.form.shape(ours[name]) for name, link in links.items()}
    kernels = foreign.kernels(config)
    missing = [name for name in expected if name not in tensors]
    surplus = [
        name for name in tensors if name not in expected and name not in kernels and not foreign.unused.match(name)
    ]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    mistyped = [
        f"{name} ({str(tensors[name].dtype).removeprefix('torch.')})"
        for name in expected
        if name in tensors and not tensors[name].is_floating_point()
    ]
    problems = {
        "missing": missing,
        "surplus": [*surplus, *others],
        "of the wrong shape": misshapen,
        "not floating-point": mistyped,
    }
    listed = [f"{len(entries)} {problem}: {', '.join(entries)}" for problem, entries in problems.items() if entries]
    if listed:
        raise StyleSwapError(
            f"{path} is not a complete {foreign.name} checkpoint of {config.size} px, and incomplete ones are not"
            f" converted; {'; '.join(listed)}"
        )
    for name, total in kernels.items():
        if name in tensors and not _is_our_blur(tensors[name], total):
            raise StyleSwapError(
                f"{path}: {name} is not the filter [1, 3, 3, 1]; networks with other filters cannot be converted"
            )


def _is_our_blur(kernel: Tensor, total: float) -> bool:
    ours = blur_kernel() * total
    return kernel.shape == ours.shape and bool(torch.allclose(kernel.float(), ours, atol=_KERNEL_TOLERANCE))


def _fill(generator: Generator, links: Mapping[str, Link], tensors: Tensors) -> tuple[list[str], list[str]]:
    """Copy all tensors; returns the names of our tensors that keep their initial values, wholly and in part."""
    state = generator.state_dict()
    with torch.no_grad():
        for name, link in links.items():
            state[name].copy_(link.form.value(tensors[link.theirs].float(), state[name]))
    return sorted(set(state) - set(links)), sorted(name for name, link in links.items() if link.form.partial)


def _metadata(
    path: Path, foreign: ForeignFormat, file: ForeignFile, config: GeneratorConfig, report: Mapping[str, object]
) -> dict[str, object]:
    kept = ("title", "stated", "fresh", "partly_fresh", "unused")
    return {
        "starting_point": foreign.starting_point,
        "card": f"converted from {foreign.title}"
        + ("; a starting point for training that cannot swap yet" if foreign.starting_point else ""),
        "license": foreign.license,
        "recognizer": config.recognizer,
        "recognizer_sha256": config.recognizer_sha256,
        "converted_from": {
            "format": foreign.name,
            "file": path.name,
            "sha256": file_sha256(path),
            "part": file.part,
            **{name: report[name] for name in kept},
        },
    }
