"""Face recognizers as torch modules with gradients, from the ONNX files that insightface runs.

Source: ArcFace (Deng et al., CVPR 2019). insightface runs recognizers in ONNX Runtime, which has no gradients;
training and inversion need them.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..errors import StyleSwapError, decoding
from ..io.files import file_sha256
from ..onnx_graphs.onnx_graph import OnnxGraph
from .opencv_zoo import is_sface
from .recognizer_id import RecognizerId

# Recognizers take 112 to 256 px; a first picture of that size is computed.
_MAX_SIDE = 1024


class TorchRecognizer(nn.Module):
    """A frozen face recognizer, built from an ONNX file.

    Attributes:
        name: File name without suffix, such as "w600k_r50".
        sha256: Hash of the file.
        recognizer_id: Both of them and the length of the embeddings, for comparisons.
        input_size: Side of its crops in pixels.
        normalization: (mean, std) of its input: (pixels - mean) / std for pixels in 0..255.
        levels: Names of the graph's values that `features` returns by default, from fine to coarse.
        map_elements: Number of elements of all values that the graph computes for one crop, roughly what is kept for a
            backward pass.
    """

    def __init__(self, path: str | Path, normalization: tuple[float, float] | None = None) -> None:
        """Build a recognizer.

        Args:
            path: The .onnx file.
            normalization: (mean, std) of its input; by default what insightface guesses from the file, and for SFace
                that of OpenCV.

        Raises:
            StyleSwapError: Not an ONNX file, an unsupported operator, or a graph that is not a face recognizer.
        """
        super().__init__()
        self.name = Path(path).stem
        self.graph = OnnxGraph(path)
        self.sha256 = file_sha256(path)
        if len(self.graph.inputs) != 1 or len(self.graph.output_names) != 1:
            raise StyleSwapError(
                f"expected a recognizer with one input and one output, {Path(path).name} has {len(self.graph.inputs)} "
                f"and {len(self.graph.output_names)}; name the recognizer file of the pack"
            )
        shape = self.graph.inputs[0].shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not shape[2] or shape[2] > _MAX_SIDE:
            raise StyleSwapError(
                f"expected a recognizer with an input (N, 3, S, S), but {Path(path).name} has {shape}; use another file"
            )
        self.input_size: int = shape[2]
        takes_pixels = normalization is None and (_normalizes_itself(self.graph) or is_sface(Path(path)))
        self.normalization = normalization or ((0.0, 1.0) if takes_pixels else (127.5, 127.5))
        mean, std = self.normalization
        # ((x + 1) 127.5 - mean) / std = x gain + offset
        self.gain, self.offset = 127.5 / std, (127.5 - mean) / std
        self.levels, self.map_elements, dimension = self._probe(Path(path).name)
        self.recognizer_id = RecognizerId(self.name, self.sha256, dimension)
        self.requires_grad_(False)
        self.eval()

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """Embed aligned crops.

        Args:
            crop: (B, 3, input_size, input_size) RGB, -1..1, from `alignment.recognizer_crop`.

        Returns:
            (B, D) float32, not normalized; an `id_embedding` is this divided by its norm.
        """
        return self.graph(self._input(crop))

    def features(self, crop: torch.Tensor, names: Sequence[str] | None = None) -> list[torch.Tensor]:
        """Intermediate feature maps, for a perceptual distance; layers beyond the deepest of them do not run.

        Args:
            crop: As for `forward`.
            names: Names of values in the graph; by default `levels`, one per resolution, after its residual blocks.

        Returns:
            (B, C, h, w) for each name.
        """
        return self.graph.collect(names or self.levels, self._input(crop))

    def _input(self, crop: torch.Tensor) -> torch.Tensor:
        if crop.ndim != 4 or crop.shape[1:] != (3, self.input_size, self.input_size):
            raise StyleSwapError(
                f"expected recognizer crops (B, 3, {self.input_size}, {self.input_size}), got {tuple(crop.shape)};"
                " cut them with recognizer_crop"
            )
        crop = crop.contiguous(memory_format=torch.channels_last)
        return crop if (self.gain, self.offset) == (1.0, 0.0) else crop * self.gain + self.offset

    def _probe(self, file_name: str) -> tuple[list[str], int, int]:
        """Check the output, and find the last residual sum, or else the last map, of each resolution.

        Returns:
            Names of these values from fine to coarse, the number of elements of all values, and the length of the
            embeddings.
        """
        sums, maps, output, elements = {}, {}, None, 0
        operators = {name: node.operator for node in self.graph.nodes for name in node.outputs}
        with decoding(f"{file_name} cannot be computed", "use another file"), torch.no_grad():
            for name, value in self.graph.walk(torch.zeros(1, 3, self.input_size, self.input_size)):
                output, elements = value, elements + value.numel()
                if value.ndim == 4 and value.shape[2] > 1:
                    maps[value.shape[2]] = name
                    if operators[name] == "Add":
                        sums[value.shape[2]] = name
        if output is None or output.ndim != 2 or output.shape[1] < 2:
            raise StyleSwapError(
                f"expected a recognizer with embeddings (N, D), but the output of {file_name} is "
                f"{None if output is None else tuple(output.shape)}; use another file"
            )
        return [sums.get(side, maps[side]) for side in sorted(maps, reverse=True)], elements, output.shape[1]


def _normalizes_itself(graph: OnnxGraph) -> bool:
    """Whether the graph expects 0..255, by the names of its first nodes.

    Graphs converted from MXNet begin with a subtraction and a multiplication. This is insightface's rule; it must agree
    even where it is wrong, since insightface computes the embeddings.
    """
    names = graph.leading_node_names
    subtracts = any(name.startswith(("Sub", "_minus")) for name in names)
    return subtracts and any(name.startswith(("Mul", "_mul")) for name in names)
