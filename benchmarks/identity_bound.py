"""Upper bound of the face PSNR of a generator that sees only an embedding.

    python benchmarks/identity_bound.py --crops runs/data/crops --validation runs/data/crops-val

Predicts the face world's identity parameters from embeddings by ridge regression, for unseen people from one photo
each, renders the predictions onto targets, and compares them with the exact swaps. A generator may be slightly better,
since a blurred mean has a lower squared error than a sharp guess.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.synthetic.columns import ColumnSet
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_NAMES, Attributes, Identities
from styleswap_core.synthetic.world import five_points, render

RIDGE = 300.0
FRAME_SIZE, CROP_SIZE = 256, 128


@torch.no_grad()
def embeddings(recognizer: TorchRecognizer, crops: ColumnSet, count: int) -> tuple[Tensor, Tensor]:
    """Embeddings (N, 512), scaled to unit variance, and the identity parameters (N, P) of the people."""
    pictures = crops.images[:count, 0]
    parts = [
        F.normalize(recognizer(torch.from_numpy(pictures[first : first + 64].copy()).float() / 127.5 - 1), dim=1)
        for first in range(0, len(pictures), 64)
    ]
    values = Identities.from_seeds(crops.identity_seeds[:count, 0].tolist()).values
    return torch.cat(parts) * np.sqrt(512), values


def explained(predicted: Tensor, values: Tensor) -> Tensor:
    """Explained share of the variance of each parameter (P,)."""
    return 1 - (predicted - values).square().mean(0) / values.var(0, unbiased=False)


def face_psnr(image: Tensor, exact: Tensor, face: Tensor) -> Tensor:
    """PSNR (N,) in dB inside the face masks (N, 1, S, S), of pictures in -1..1."""
    error = (((image - exact) / 2).square() * face).sum((1, 2, 3)) / (3 * face.sum((1, 2, 3)))
    return -10 * error.log10()


def rendered_bound(predicted: Tensor, values: Tensor, cases: int, seed: int) -> dict[str, float]:
    """Mean face PSNR of renderings from predicted parameters, and of the copied target, against the exact swap."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(values), generator=draw)[:cases]
    body = Identities(values[torch.randperm(len(values), generator=draw)[:cases]])
    first = ATTRIBUTE_SEEDS["validation"][0] + seed % 1000
    attributes = Attributes.from_seeds(range(first, first + cases))
    window = estimate_similarity(five_points(body, attributes, FRAME_SIZE), template_points("ffhq", CROP_SIZE))

    def picture(people: Identities):
        return render(people, attributes, CROP_SIZE, window=window, body=body, frame_size=FRAME_SIZE)

    exact, guess, target = (picture(Identities(v)) for v in (values[rows], predicted[rows].clamp(-1, 1), body.values))
    face = torch.maximum(exact.face_mask, target.face_mask)
    return {
        "face_psnr_by_predicted_parameters": float(face_psnr(guess.image, exact.image, face).mean()),
        "face_psnr_target_copied": float(face_psnr(target.image, exact.image, face).mean()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=Path, required=True, help="folder of 112 px columns to fit on")
    parser.add_argument("--validation", type=Path, required=True, help="folder of 112 px columns of unseen people")
    parser.add_argument("--recognizer", type=Path, help="ONNX file (default: the demo pack's)")
    parser.add_argument("--fit", type=int, default=6000, help="number of pictures to fit on")
    parser.add_argument("--cases", type=int, default=48, help="number of swaps to render")
    parser.add_argument("--seed", type=int, default=20261122)
    args = parser.parse_args()
    recognizer = TorchRecognizer(args.recognizer or DEMO_PACK / "arcface_demo.onnx")
    known, known_values = embeddings(recognizer, ColumnSet(args.crops), args.fit)
    unseen, values = embeddings(recognizer, ColumnSet(args.validation), len(ColumnSet(args.validation)))
    normal = known.T @ known + RIDGE * torch.eye(known.shape[1])
    predicted = unseen @ torch.linalg.solve(normal, known.T @ known_values)
    shares = explained(predicted, values)
    order = shares.argsort().tolist()
    bound = rendered_bound(predicted, values, args.cases, args.seed)
    result = {
        "identity_r2_mean": round(float(shares.mean()), 3),
        "least_explained": {IDENTITY_NAMES[i]: round(float(shares[i]), 2) for i in order[:8]},
        "best_explained": {IDENTITY_NAMES[i]: round(float(shares[i]), 2) for i in order[-8:]},
        **{name: round(value, 2) for name, value in bound.items()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
