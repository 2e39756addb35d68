"""Sharpness, faithfulness and time of swaps at several multiples of a network's size, on large rendered pictures.

    python benchmarks/resolution.py --threads 2 --out docs/benchmarks/resolution.json --pictures /tmp/resolution

The network is a guest: the demo generator, exported in the form of inswapper (another one with --model). The face world
renders the exact swap at the size of the picture, which is what a perfect network of that size would draw:

- sharpness: RMS of what a blur of 2 px takes from the face, in the result and in the exact swap; 1 is as sharp as the
  picture around it;
- PSNR to the exact swap inside the face, and cosine similarity to the source;
- lines: energy of luma that repeats at the distance of the network's pixels, over that of neighboring frequencies, in
  dB, in the swapped crop; the exact swap has about 0;
- processor time in milliseconds for one face: cutting, network, joining and pasting, without detection.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from machine import machine_name

from styleswap_core import Identity, SwapOptions, Swapper, load_face_analysis, load_model
from styleswap_core.checkpoints import DEMO_MODEL, load_generator, model_sha256
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.identities.averaging import blend_identities
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.pipeline.face_jobs import resolution_of
from styleswap_core.synthetic.scene import SyntheticScene

# Source person, target person, setting of the source, setting of the target.
SCENES = ((0, 1, 0, 1), (3, 8, 5, 11), (21, 14, 7, 23))
SOURCE_SIZE, SOURCE_PHOTOS = 512, 2
BLUR = 2.0
LUMA = torch.tensor([0.299, 0.587, 0.114])
TIMED = 3


@dataclass(frozen=True, eq=False)
class Case:
    """A rendered picture, the exact swap (both (H, W, 3) uint8), the inside of the face (H, W), and the source."""

    target: np.ndarray
    exact: np.ndarray
    face: torch.Tensor
    identity: Identity


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, metavar="FILE", help="network (default: the demo, exported)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 512, 256], metavar="PX")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8], metavar="K")
    parser.add_argument("--scenes", type=int, default=len(SCENES), metavar="N", help="number of scenes")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="also write the results as pictures")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or export_demo(Path(folder))
        rows = list(measure(args, Swapper(load_model(model, "cpu"), load_face_analysis())))
    report = {"machine": machine_name("cpu"), "threads": args.threads, "rows": summarize(rows)}
    if args.out is not None:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(report["rows"])))


def export_demo(folder: Path) -> Path:
    """The demo generator in the form of inswapper."""
    path = folder / "demo_inswapper.onnx"
    generator = load_generator(DEMO_MODEL)[0]
    export_guest(path, generator, "inswapper", template_ok=True, sha256=model_sha256(DEMO_MODEL))
    return path


def measure(args: argparse.Namespace, swapper: Swapper) -> Iterator[dict[str, float]]:
    """One row per scene, size of the picture, and factor."""
    for number, scene in enumerate(SCENES[: args.scenes]):
        largest = render(scene, max(args.sizes), swapper)
        for size in args.sizes:
            case = scaled(largest, size)
            for factor in args.factors:
                row = {"scene": number, "size": size, "factor": factor, **measure_one(swapper, case, factor)}
                if args.pictures is not None:
                    args.pictures.mkdir(parents=True, exist_ok=True)
                    save_image(args.pictures / f"{number}_{size}_{factor}x.png", row.pop("picture"))
                row.pop("picture", None)
                print(json.dumps(row), flush=True)
                yield row


def render(scene: Sequence[int], size: int, swapper: Swapper) -> Case:
    """Render a scene, and extract its source person."""
    source, target, source_setting, target_setting = scene
    picture = SyntheticScene(source, target, source_setting, target_setting, size=size)
    photos = SyntheticScene(
        source, target, source_setting, target_setting, size=SOURCE_SIZE, photos=SOURCE_PHOTOS
    ).source_photos()
    analysis = swapper.analysis
    people = [
        Identity(torch.from_numpy(analysis.detect(to_uint8(photo[None])[0])[0].id_embedding), analysis.recognizer)
        for photo in photos
    ]
    frame, mask = picture.target_frame(0)
    return Case(to_uint8(frame[None])[0], to_uint8(picture.exact_frame(0)[None])[0], mask[0], blend_identities(people))


def scaled(case: Case, size: int) -> Case:
    """A smaller version of a case; its face is eroded, so that no edge of a mask is measured."""

    def smaller(picture: np.ndarray) -> np.ndarray:
        if len(picture) == size:
            return picture
        values = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        shrunk = F.interpolate(values, (size, size), mode="bicubic", antialias=True).round().clamp(0, 255)
        return shrunk[0].permute(1, 2, 0).byte().numpy()

    reach = max(2, size // 40)
    face = F.interpolate(case.face[None, None], (size, size), mode="area")
    eroded = 1.0 - F.max_pool2d(1.0 - face, 2 * reach + 1, 1, reach)
    return Case(smaller(case.target), smaller(case.exact), (eroded[0, 0] > 0.99).float(), case.identity)


def measure_one(swapper: Swapper, case: Case, factor: int) -> dict[str, float]:
    """Swap a case at one factor, and measure the result."""
    options = SwapOptions(resolution=factor)
    result = swapper.swap(case.target, case.identity, options=options)
    (swapped,) = result.faces
    seconds = []
    for _ in range(TIMED):
        start = time.process_time()
        swapper.swap_detected(case.target, [(swapped.face, case.identity)], options=options)
        seconds.append(time.process_time() - start)
    picture = np.asarray(result.image)
    return {
        "face": round(factor / swapped.scale, 3),
        "automatic": resolution_of(swapped.face, swapper.model, SwapOptions()),
        "sharpness": detail(picture, case.face) / detail(case.exact, case.face),
        "psnr": psnr(picture, case.exact, case.face),
        "similarity": swapped.similarity,
        "lines": lines(result.crops[0], factor) if factor > 1 else 0.0,
        "ms": statistics.median(seconds) * 1000,
        "picture": picture,
    }


def luma(picture: np.ndarray) -> torch.Tensor:
    """(1, 1, H, W), 0..255."""
    return (torch.from_numpy(picture).float() @ LUMA)[None, None]


def detail(picture: np.ndarray, face: torch.Tensor) -> float:
    """RMS of what a blur takes from the face."""
    values, reach = luma(picture), 2 * round(3 * BLUR) + 1
    fine = values - gaussian_blur2d(values, (reach, reach), (BLUR, BLUR))
    return float((fine.square() * face).sum() / face.sum()) ** 0.5


def psnr(picture: np.ndarray, exact: np.ndarray, face: torch.Tensor) -> float:
    """PSNR inside the face."""
    error = (torch.from_numpy(picture).float() - torch.from_numpy(exact).float()).square().mean(2)
    return float(10 * torch.log10(255.0**2 / ((error * face).sum() / face.sum())))


def lines(crop: torch.Tensor, factor: int) -> float:
    """Energy at the frequencies of the network's pixels over that of neighboring ones in the middle of a crop, dB."""
    side = crop.shape[-1]
    middle = slice(side // 4, side // 4 + side // 2)
    values = torch.einsum("c,chw->hw", LUMA, crop)[middle, middle]
    count = len(values)
    window = torch.hann_window(count)
    power = torch.fft.fft2((values - values.mean()) * window[:, None] * window).abs().square()
    ratios = []
    for harmonic in range(1, factor // 2 + 1):
        at = harmonic * count // factor
        for along in (power[:, :2].mean(1), power[:2].mean(0)):
            beside = [*range(at - 12, at - 4), *range(at + 5, min(at + 13, count // 2))]
            ratios.append(along[at - 1 : at + 2].mean() / along[beside].mean())
    return float(10 * torch.log10(torch.stack(ratios).max()))


def summarize(rows: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Means over the scenes; medians of times."""
    groups: dict[tuple[float, float], list[dict[str, float]]] = {}
    for row in rows:
        groups.setdefault((row["size"], row["factor"]), []).append(row)
    return [
        {
            "size": size,
            "factor": factor,
            "face": round(statistics.mean(row["face"] for row in group), 2),
            "automatic": [row["automatic"] for row in group],
            **{
                key: round(statistics.mean(row[key] for row in group), 3)
                for key in ("sharpness", "psnr", "similarity", "lines")
            },
            "ms": round(statistics.median(row["ms"] for row in group), 1),
        }
        for (size, factor), group in groups.items()
    ]


def table(rows: Sequence[dict[str, float]]) -> Iterator[str]:
    """Markdown table."""
    yield "| picture | face / network | resolution | sharpness | PSNR | similarity | lines, dB | CPU ms |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in rows:
        chosen = " (automatic)" if row["factor"] in row["automatic"] else ""
        yield (
            f"| {row['size']} px | {row['face']:.1f} | {row['factor']}x{chosen} | {row['sharpness']:.2f} |"
            f" {row['psnr']:.2f} | {row['similarity']:.2f} | {row['lines']:.1f} | {row['ms']:.0f} |"
        )


if __name__ == "__main__":
    main()
