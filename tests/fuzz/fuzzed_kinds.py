"""The kinds of files that the product reads: a valid example of each, the reader, and how the file is bent."""

import csv
import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from random import Random

import mutations as bend
import numpy as np
from fuzzed_credentials import credential_files
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
for _helpers in ("checkpoints", "io", "masking", "swappers", "training", "identities", "migration"):
    if str(TESTS / _helpers) not in sys.path:
        sys.path.insert(0, str(TESTS / _helpers))


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: Name of the kind.
        file: Name of the file in its folder.
        write: Writes a valid example into an empty folder, with everything that belongs to it.
        read: Reads the file; raises what the product raises.
        mutations: Ways to bend it.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]
    mutations: tuple[bend.Mutation, ...]


def _picture(suffix: str, form: str, mutation: bend.Mutation, deep: bool = False) -> Kind:
    def write(folder: Path) -> None:
        from pictures_of_cameras import camera_exif, colors

        if deep:
            import cv2

            cv2.imwrite(str(folder / f"a{suffix}"), colors().astype(np.uint16) * 257)
            return
        exif = {} if form in ("BMP", "GIF") else {"exif": camera_exif(6)}
        picture = Image.fromarray(colors())
        picture.save(folder / f"a{suffix}", form, **exif)

    def read(path: Path) -> object:
        from styleswap_core.io.picture_file import read_picture
        from styleswap_core.io.picture_writing import write_picture

        picture = read_picture(path)
        result = picture.seen.copy()
        result[4:-4, 4:-4] = 128
        changed = picture.with_pixels(result, np.ones(result.shape[:2], np.float32))
        write_picture(path.with_name(f"out{suffix if suffix != '.gif' else '.png'}"), changed)
        return picture

    name = f"picture {suffix[1:]}" + (", 16 bits" if deep else "")
    return Kind(name, f"a{suffix}", write, read, (bend.of_bytes, bend.of_head, mutation))


def _write_identity(folder: Path) -> None:
    import torch

    from styleswap_core.faces.recognizer_id import RecognizerId
    from styleswap_core.identities.identity import Identity
    from styleswap_core.identities.identity_format import save_identity

    torch.manual_seed(0)
    identity = Identity(
        torch.randn(512), RecognizerId("w600k_r50", "ab" * 32), ("0" * 64,), torch.randn(8, 32), "cd" * 32, 20.5
    )
    save_identity(folder / "a.safetensors", identity)


def _write_face_model(folder: Path) -> None:
    import torch

    from styleswap_core.faces.recognizer_id import RecognizerId
    from styleswap_core.identities.identity import Identity
    from styleswap_core.identities.reactor_files import save_face_model

    torch.manual_seed(0)
    save_face_model(folder / "a.safetensors", Identity(torch.randn(512), RecognizerId("w600k_r50")))


def _read_identity(path: Path) -> object:
    from styleswap_core.identities.reactor_files import load_any_identity

    return load_any_identity(path)


def _write_generator(folder: Path) -> None:
    import torch

    from styleswap_core.checkpoints import save_generator
    from styleswap_core.model import Generator, preset

    torch.manual_seed(0)
    save_generator(
        folder / "a.safetensors", Generator(preset("tiny")), {"card": "a model", "recognizer": "r"}, "float16"
    )


def _read_generator(path: Path) -> object:
    from styleswap_core.checkpoints import load_generator
    from styleswap_core.checkpoints.native import load_header

    load_header(path)
    return load_generator(path)


def _foreign(suffix: str, mutation: bend.Mutation, old: bool = False) -> Kind:
    def write(folder: Path) -> None:
        import foreign_networks
        import torch
        from safetensors.torch import save_file

        weights = foreign_networks.styleswap_weights({4: 4, 8: 4, 16: 4}, ("to_outtermask1", "to_outtermasks"))
        path = folder / f"a{suffix}"
        if suffix == ".pdparams":
            arrays = {name: value.numpy() for name, value in foreign_networks.paddle_layout(weights).items()}
            path.write_bytes(pickle.dumps(arrays, protocol=2))
        elif suffix == ".safetensors":
            save_file({name: value.contiguous() for name, value in weights.items()}, path)
        else:
            torch.save({"g_ema": dict(weights), "args": 1}, path, _use_new_zipfile_serialization=not old)

    def read(path: Path) -> object:
        from styleswap_core.checkpoints.convert import convert

        return convert(path)

    name = f"foreign checkpoint {suffix[1:]}" + (" of old PyTorch" if old else "")
    return Kind(name, f"a{suffix}", write, read, (bend.of_bytes, bend.of_head, mutation, mutation))


def _guest(name: str, file: str, write: Callable[[Path], object]) -> Kind:
    def read(path: Path) -> object:
        from styleswap_core.swappers.model_files import load_model

        network = load_model(path, "cpu", folders=[])
        network.close()
        return network

    return Kind(name, file, lambda folder: write(folder / file), read, (bend.of_head, bend.of_onnx, bend.of_onnx))


def _write_inswapper(path: Path) -> object:
    from guest_forms import write_inswapper

    return write_inswapper(path)


def _write_dfm(path: Path) -> object:
    from guest_forms import write_dfm

    return write_dfm(path)


def _write_parsing(folder: Path) -> None:
    from mask_forms import write_parsing

    write_parsing(folder / "a.onnx", {1: (200, 150, 120)})


def _read_parsing(path: Path) -> object:
    from styleswap_core.masking.mask_files import PARSING
    from styleswap_core.masking.mask_network import MaskNetwork

    return MaskNetwork(path, PARSING, 64)


def _write_recognizer(folder: Path) -> None:
    from training_toys import write_recognizer

    write_recognizer(folder / "a.onnx")


def _read_recognizer(path: Path) -> object:
    from styleswap_core.faces.arcface import TorchRecognizer

    return TorchRecognizer(path)


def _text(name: str, file: str, text: str, read: Callable[[Path], object], *mutations: bend.Mutation) -> Kind:
    return Kind(name, file, lambda folder: _put(folder / file, text), read, (*mutations, bend.of_bytes))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _read_pairs(path: Path) -> object:
    from styleswap_core.metrics.pair_files import read_pairs

    return read_pairs(path)


def _read_workflow(path: Path) -> object:
    from styleswap_core.migration.migrate import migrate_workflow
    from styleswap_core.migration.saved_graphs import read_workflow, write_workflow

    moved = migrate_workflow(read_workflow(path)).workflow
    write_workflow(path.with_name("out.json"), moved)
    if migrate_workflow(moved).workflow != moved:
        raise AssertionError("the second move changed the workflow")
    return moved


def _workflow_json() -> str:
    from foreign_graphs import swap_canvas

    canvas = swap_canvas("ReActorFaceSwapOpt", face_restore_model="GFPGANv1.4.pth")
    for kind, name in (("ReActorOptions", "options"), ("ReActorFaceBoost", "face_boost")):
        canvas.link(canvas.add(kind), 0, 3, name)
    canvas.link(3, 0, canvas.add("ReActorMaskHelper"), "swapped_image")
    return json.dumps(canvas.graph)


def _prompt_json() -> str:
    from foreign_graphs import swap_prompt

    return json.dumps(swap_prompt(face_restore_model="GFPGANv1.4.pth", source_faces_index="0,1"))


def _write_places(folder: Path) -> None:
    import torch

    from styleswap_core.compositing.placed_faces import PlacedFaces, frame_mark, place_points
    from styleswap_core.compositing.places_file import save_places
    from styleswap_core.faces.alignment import template_points

    points = template_points("ffhq", 40).numpy()
    faces = tuple(place_points(0, points + shift, "ffhq", 64) for shift in np.float32([0, 30]))
    save_places(folder / "a.json", PlacedFaces(faces, (80, 120), (frame_mark(torch.zeros(80, 120, 3)), None)))


def _read_places(path: Path) -> object:
    from styleswap_core.compositing.places_file import read_places, write_places

    rows = read_places(path)
    write_places(path.with_name("out.json"), rows)
    if [row.crops for row in read_places(path.with_name("out.json"))] != [row.crops for row in rows]:
        raise AssertionError("the places changed on the way")
    return rows


def _read_config(path: Path) -> object:
    from styleswap_core.training.config_values import read_values
    from styleswap_core.training.training_config import config_from_dict
    from styleswap_core.training.training_state import generator_config

    return generator_config(config_from_dict(read_values(path), str(path)))


def _pairs_csv() -> str:
    stream = StringIO()
    csv.writer(stream).writerows(
        [["source", "target", "result"], *([f"s{n}.png", f"t{n}.png", "r.png"] for n in range(5))]
    )
    return stream.getvalue()


_PAIRS_JSON = "\n".join(json.dumps({"source": f"s{n}", "target": f"t{n}", "person": "a"}) for n in range(5))
_CONFIG = {
    "model": "tiny",
    "steps": 10,
    "batch": 2,
    "learning_rate": 0.002,
    "model_overrides": {"w_dim": 16, "channels": {"4": 4, "8": 4, "16": 4, "32": 4}},
}


def _write_run(folder: Path) -> None:
    import torch
    from training_toys import tiny_config

    from styleswap_core.training.training_state import create_state, save_checkpoint

    config = tiny_config()
    save_checkpoint(folder, create_state(config, torch.device("cpu")), config, torch.device("cpu"))


def _read_run(path: Path) -> object:
    import torch
    from training_toys import tiny_config

    from styleswap_core.training.training_state import newest_checkpoint, restore_state

    content = newest_checkpoint(path.parent)
    return content and restore_state(content, tiny_config(), torch.device("cpu"))


def _of_run(data: bytes, random: Random) -> bytes:
    """A value in a checkpoint replaced by one of another kind, size or range."""
    import torch

    content = torch.load(BytesIO(data), weights_only=True)
    spots = [spot for spot in bend._spots(content) if isinstance(spot[0], dict | list)]
    shallow = [(content, key) for key in content] + [(content["random"], "cpu")]
    table, key = random.choice(shallow if random.random() < 0.4 else spots)
    values = (None, -1, float("nan"), 1 << 70, "x", [], {}, torch.zeros(0), torch.zeros(3, dtype=torch.uint8), (1, 2))
    if random.random() < 0.2:
        del table[key]
    else:
        table[key] = random.choice(values)
    stream = BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _write_prepared(folder: Path) -> None:
    import cv2

    from styleswap_core.preparation import prepared_set as sets

    crop = cv2.imencode(".png", np.full((32, 32, 3), 90, np.uint8))[1].tobytes()
    rows = np.zeros(1, sets.ROW)
    rows["image_bytes"] = rows["mask_bytes"] = len(crop)
    (folder / sets.SHARDS).mkdir()
    sets.shard_path(folder / sets.SHARDS, 0).write_bytes(crop)
    rows.tofile(folder / sets.INDEX)
    np.ones((1, 512), np.float32).tofile(folder / sets.EMBEDDINGS)
    np.save(folder / sets.PEOPLE, np.zeros(1, np.int32))
    manifest = {
        "format": sets.FORMAT,
        "format_version": sets.FORMAT_VERSION,
        "pictures": 1,
        "people": 1,
        "size": 32,
        "template": "ffhq",
        "recognizer": "r",
        "recognizer_sha256": "ab" * 32,
        "dimension": 512,
    }
    _put(folder / sets.MANIFEST, json.dumps(manifest))


def _read_prepared(path: Path) -> object:
    from styleswap_core.preparation.prepared_set import PreparedSet, ShardReader

    prepared = PreparedSet.open(path.parent)
    reader = ShardReader(prepared)
    return prepared.recognizer, reader.image(0), reader.mask(0), prepared.people[0]


def _write_columns(folder: Path) -> None:
    from styleswap_core.synthetic.columns import ColumnPlan, build_columns

    build_columns(folder, ColumnPlan(columns=1, members=2, size=16, seed=1), None)


def _read_columns(path: Path) -> object:
    from styleswap_core.synthetic.columns import ColumnSet

    return ColumnSet(path.parent)


def _video(file: str) -> Kind:
    def write(folder: Path) -> None:
        import av

        with av.open(str(folder / file), "w") as container:
            stream = container.add_stream("mpeg4" if file.endswith("mp4") else "ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    def read(path: Path) -> object:
        from styleswap_core.preparation.video_frames import frames

        return list(frames(path, 0.1, 0, lambda sentence: None))

    return Kind(f"video {file[2:]}", file, write, read, (bend.of_bytes, bend.of_head))


def _animation(suffix: str, mutation: bend.Mutation) -> Kind:
    def write(folder: Path) -> None:
        from pictures_of_cameras import colors

        frames = [Image.fromarray(colors() // step) for step in (1, 2, 3)]
        frames[0].save(folder / f"a{suffix}", save_all=True, append_images=frames[1:])

    def read(path: Path) -> object:
        from styleswap_core.media.animated_files import is_animation
        from styleswap_core.media.animations import decodable
        from styleswap_core.preparation.video_frames import frames

        if not is_animation(path):
            return None
        with decodable(path) as readable:
            return list(frames(readable, 0.1, 0, lambda sentence: None))

    return Kind(f"animation {suffix[1:]}", f"a{suffix}", write, read, (bend.of_bytes, bend.of_head, mutation))


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _picture(".png", "PNG", bend.of_png),
        _picture(".png", "PNG", bend.of_png, deep=True),
        _picture(".jpg", "JPEG", bend.of_exif),
        _picture(".webp", "WEBP", bend.of_exif),
        _picture(".tif", "TIFF", bend.of_exif),
        _picture(".tif", "TIFF", bend.of_exif, deep=True),
        _picture(".bmp", "BMP", bend.of_head),
        _picture(".gif", "GIF", bend.of_head),
        _picture(".avif", "AVIF", bend.of_exif),
        _picture(".jp2", "JPEG2000", bend.of_head),
        Kind("identity", "a.safetensors", _write_identity, _read_identity, (bend.of_head, *(bend.of_safetensors,) * 3)),
        Kind(
            "ReActor face model",
            "a.safetensors",
            _write_face_model,
            _read_identity,
            (bend.of_head, bend.of_safetensors),
        ),
        Kind("model", "a.safetensors", _write_generator, _read_generator, (bend.of_head, *(bend.of_safetensors,) * 3)),
        _foreign(".pdparams", bend.of_pickle),
        _foreign(".pt", bend.of_zip),
        _foreign(".pth", bend.of_pickle, old=True),
        _foreign(".safetensors", bend.of_safetensors),
        _guest("swapping network .onnx", "inswapper_128.onnx", _write_inswapper),
        _guest("swapping network .dfm", "a.dfm", _write_dfm),
        Kind("places of faces", "a.json", _write_places, _read_places, (bend.of_bytes, bend.of_json, bend.of_json)),
        Kind("mask network", "a.onnx", _write_parsing, _read_parsing, (bend.of_head, bend.of_onnx, bend.of_onnx)),
        Kind("recognizer", "a.onnx", _write_recognizer, _read_recognizer, (bend.of_head, bend.of_onnx, bend.of_onnx)),
        _text("pairs, CSV", "a.csv", _pairs_csv(), _read_pairs, bend.of_lines, bend.of_lines),
        _text("pairs, JSON lines", "a.jsonl", _PAIRS_JSON, _read_pairs, bend.of_lines),
        _text(
            "pairs, JSON", "a.json", json.dumps([["000", "003"], ["1", "2"]]), _read_pairs, bend.of_json, bend.of_json
        ),
        _text("configuration, JSON", "a.json", json.dumps(_CONFIG), _read_config, bend.of_json, bend.of_json),
        _text("configuration, TOML", "a.toml", 'model = "tiny"\nsteps = 10\nbatch = 2\n', _read_config, bend.of_lines),
        _text("workflow", "a.json", _workflow_json(), _read_workflow, bend.of_json, bend.of_json),
        _text("API prompt", "a.json", _prompt_json(), _read_workflow, bend.of_json, bend.of_json),
        Kind("run folder", "step_000000000.pt", _write_run, _read_run, (bend.of_zip, _of_run, _of_run, _of_run)),
        Kind(
            "prepared set",
            "prepared.json",
            _write_prepared,
            _read_prepared,
            (bend.of_json, bend.of_json, bend.of_bytes),
        ),
        Kind(
            "rendered columns", "plan.json", _write_columns, _read_columns, (bend.of_json, bend.of_json, bend.of_bytes)
        ),
        _video("a.mp4"),
        _video("a.mkv"),
        _animation(".gif", bend.of_bytes),
        _animation(".webp", bend.of_bytes),
        _animation(".png", bend.of_png),
        *(
            Kind(
                name, file, write, read, (bend.of_bytes, bend.of_head, bend.of_lines if "pem" in file else bend.of_exif)
            )
            for name, file, write, read in credential_files()
        ),
    )
}
"""All kinds by name."""
