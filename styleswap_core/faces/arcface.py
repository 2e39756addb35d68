"""The face recognizer as a torch module: the same ONNX file that insightface runs, with gradients.

Source: ArcFace (Deng et al., CVPR 2019). insightface runs recognizers in ONNX Runtime, which has no gradients;
training and inversion need them.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .onnx_graph import OnnxGraph
from .recognizer_id import RecognizerId


class TorchRecognizer(nn.Module):
    """A frozen face recognizer, built from an ONNX file.

    Attributes:
        name: the file's name without suffix, such as "w600k_r50". Embeddings compare only within one recognizer.
        sha256: of the file.
        recognizer_id: both of them, for comparisons.
        input_size: side of the crop it wants, pixels.
        normalization: (mean, std) that are taken off pixels in 0..255.
        levels: names of the graph's values that `features` returns by default, from fine to coarse.
        map_elements: elements of all values that the graph computes for one crop, about what a way back keeps.

    Args:
        path: the recognizer's .onnx file.
        normalization: (mean, std) that the graph wants taken off pixels in 0..255. By default what insightface
            guesses from the file; packs with a manifest state it (see `FaceAnalyzer.torch_recognizer`).

    Raises:
        StyleSwapError: not an ONNX file, an unknown operator, or a graph that is no face recognizer.
    """

    def __init__(self, path: str | Path, normalization: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.name = Path(path).stem
        self.graph = OnnxGraph(path)
        self.sha256 = file_sha256(path)
        self.recognizer_id = RecognizerId(self.name, self.sha256)
        shape = self.graph.input_shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not shape[2]:
            raise StyleSwapError(
                f"expected a recognizer with an input (N, 3, S, S), {Path(path).name} has {shape}; it is another kind"
                " of network"
            )
        self.input_size: int = shape[2]
        self.normalization = normalization or ((0.0, 1.0) if _normalizes_itself(self.graph) else (127.5, 127.5))
        mean, std = self.normalization
        # ((x + 1) 127.5 - mean) / std = x gain + offset
        self.gain, self.offset = 127.5 / std, (127.5 - mean) / std
        self.levels, self.map_elements = self._probe(Path(path).name)
        self.requires_grad_(False)
        self.eval()

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """Embed aligned crops.

        Args:
            crop: (B, 3, input_size, input_size) RGB -1..1, cut by `alignment.recognizer_crop`.

        Returns:
            (B, 512) float32, NOT normalized; divide by the norm for an `id_embedding`.
        """
        return self.graph(self._input(crop))

    def features(self, crop: torch.Tensor, names: Sequence[str] | None = None) -> list[torch.Tensor]:
        """Intermediate maps for a perceptual distance; deeper layers than the last one asked for do not run.

        Args:
            crop: as in forward.
            names: values of the graph; by default `levels`, one per resolution, at the end of its residual blocks.

        Returns:
            list of (B, C, h, w), in the order of `names`.
        """
        return self.graph.collect(self._input(crop), names or self.levels)

    def _input(self, crop: torch.Tensor) -> torch.Tensor:
        if crop.ndim != 4 or crop.shape[1:] != (3, self.input_size, self.input_size):
            raise StyleSwapError(
                f"expected recognizer crops (B, 3, {self.input_size}, {self.input_size}), got {tuple(crop.shape)};"
                " cut them with recognizer_crop"
            )
        crop = crop.contiguous(memory_format=torch.channels_last)
        return crop if (self.gain, self.offset) == (1.0, 0.0) else crop * self.gain + self.offset

    def _probe(self, file_name: str) -> tuple[list[str], int]:
        """Run once: check the output, find the last residual sum (or else the last map) of each resolution, and count."""
        sums, maps, output, elements = {}, {}, None, 0
        operators = {node.output: node.operator for node in self.graph.nodes}
        with torch.no_grad():
            for name, value in self.graph.walk(torch.zeros(1, 3, self.input_size, self.input_size)):
                output, elements = value, elements + value.numel()
                if value.ndim == 4 and value.shape[2] > 1:
                    maps[value.shape[2]] = name
                    if operators[name] == "Add":
                        sums[value.shape[2]] = name
        if output is None or output.ndim != 2 or output.shape[1] != 512:
            raise StyleSwapError(
                f"expected a recognizer with embeddings (N, 512), {file_name} gives "
                f"{None if output is None else tuple(output.shape)}; it is another kind of network"
            )
        return [sums.get(side, maps[side]) for side in sorted(maps, reverse=True)], elements


def _normalizes_itself(graph: OnnxGraph) -> bool:
    """Whether the graph expects 0..255: insightface's own rule, by the names of the first eight nodes.

    Graphs converted from MXNet begin with a subtraction and a multiplication. Whatever the rule decides, it must
    be what insightface decides, since that makes the embeddings.
    """
    names = graph.leading_node_names
    subtracts = any(name.startswith(("Sub", "_minus")) for name in names)
    return subtracts and any(name.startswith(("Mul", "_mul")) for name in names)
