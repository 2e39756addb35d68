"""Conversion of a foreign checkpoint to one of our generators, completely or not at all."""

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
_FRESH_SEED = 20261122  # every conversion initializes missing tensors alike
_KERNEL_TOLERANCE = 1e-5
# An incomplete checkpoint gets a list of what is missing; a network far beyond its tensors is not built.
_MOST_PER_ELEMENT = 8
_MOST_FRESH = 100_000_000


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
        format_name: A name of FORMATS; by default detected from the names of the tensors.
        part: Which state dict of the file; see `read_foreign`.
        settings: Fields of GeneratorConfig that override the format's; only its `settable` ones.

    Raises:
        StyleSwapError: The file is unreadable, hostile or claims false sizes; its format is unknown; tensors are
            missing, surplus or misshapen (all are listed); blur kernels differ; or a setting cannot be overridden.
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
    """Command that starts training from a converted file: the nearest preset, and the fields that differ from it."""
    ours = config.to_dict()
    presets = {name: preset.to_dict() for name, preset in PRESETS.items()}
    differences = {
        name: {key: value for key, value in ours.items() if value != fields[key]} for name, fields in presets.items()
    }
    for fields in differences.values():
        # Training states its own recognizer, and always feeds L2-normalized embeddings.
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
            raise StyleSwapError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
        return FORMATS[name]
    for candidate in FORMATS.values():
        if candidate.matches(tensors):
            return candidate
    some = ", ".join(list(tensors)[:6])
    raise StyleSwapError(
        f"{path} is of no format that is known ({', '.join(FORMATS)}); its tensors are called {some}, ...: "
        "choose a generator's checkpoint, or say --format to see what it lacks"
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
            f"{', '.join(closed)} cannot be set for {foreign.name}: shapes or the format say it; "
            f"free to set are {', '.join(foreign.settable)}"
        )
    stated: dict[str, Statement] = {
        name: {"value": entry.value, "why": entry.why} for name, entry in foreign.stated(inferred).items()
    }
    for name, value in settings.items():
        stated[name] = {"value": value, "why": "as you said"}
    return stated


def _fresh_generator(path: Path, config: GeneratorConfig, tensors: Tensors) -> Generator:
    there = sum(tensor.numel() for tensor in tensors.values())
    if config.least_elements > _MOST_PER_ELEMENT * there + _MOST_FRESH:
        raise StyleSwapError(
            f"{path} lies: single tensors claim a network of {config.least_elements} weights or more, and all together"
            f" have {there}; get the file again"
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
    """Raise a StyleSwapError that lists every tensor that is missing, surplus, misshapen or of another type."""
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
        "of another shape": misshapen,
        "no numbers with a fraction": mistyped,
    }
    listed = [f"{len(entries)} {problem}: {', '.join(entries)}" for problem, entries in problems.items() if entries]
    if listed:
        raise StyleSwapError(
            f"{path} is not a whole {foreign.name} checkpoint of {config.size} px, and is not converted in part;"
            f" {'; '.join(listed)}"
        )
    for name, total in kernels.items():
        if name in tensors and not _is_our_blur(tensors[name], total):
            raise StyleSwapError(
                f"{path}: {name} is another filter than [1, 3, 3, 1]; such networks cannot be converted"
            )


def _is_our_blur(kernel: Tensor, total: float) -> bool:
    ours = blur_kernel() * total
    return kernel.shape == ours.shape and bool(torch.allclose(kernel.float(), ours, atol=_KERNEL_TOLERANCE))


def _fill(generator: Generator, links: Mapping[str, Link], tensors: Tensors) -> tuple[list[str], list[str]]:
    """Copy all tensors; returns the names of ours that keep their initial values, and of those that do in part."""
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
        + ("; a starting point for training, no swapper" if foreign.starting_point else ""),
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
