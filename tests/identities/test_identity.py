"""Identities: averaging, blending, and the file they live in."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.identities.identity import (
    Identity,
    average_embeddings,
    blend_identities,
    cosine_similarity,
    extract_identity,
    find_outliers,
    load_identity,
    recognizer_words,
    save_identity,
)
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import save_image


def vector(seed, near=None, distance=0.5):
    noise = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    noise /= np.linalg.norm(noise)
    mixed = noise if near is None else near + distance * noise
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def identity(seed=0, recognizer="w600k_r50", sha="a" * 64, **more):
    return Identity(torch.from_numpy(vector(seed)), recognizer, sha, **more)


class PaintedFaces:
    """A face analysis that reads from the first pixels which faces a picture has: their number, and whose they are."""

    recognizer_name, recognizer_sha256 = "painted", "b" * 64

    def detect(self, picture, order="largest", embed=True):
        count, person, variation = (int(value) for value in picture[0, 0])
        embedding = vector(1000 + variation, near=vector(person))
        box = np.float32([0, 0, 16, 16])
        return [DetectedFace(i, 0.9, box, np.zeros((5, 2), np.float32), embedding) for i in range(count)]

    def embed(self, picture, points):
        return self.detect(picture)[0].id_embedding


@pytest.fixture
def paint(tmp_path):
    def make(name, count, person, variation=0):
        picture = np.zeros((20, 20, 3), dtype=np.uint8)
        picture[0, 0] = (count, person, variation)
        save_image(tmp_path / name, picture)
        return tmp_path / name

    return make


def test_embedding_is_normalized_on_construction():
    made = Identity(torch.full((512,), 3.0, dtype=torch.float64), "r")
    assert made.id_embedding.dtype == torch.float32
    assert float(made.id_embedding.norm()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "embedding",
    [
        torch.zeros(512),
        torch.full((512,), float("nan")),
        torch.full((512,), float("inf")),
        torch.ones(128),
        torch.ones(1, 512),
    ],
)
def test_unusable_embeddings_are_refused(embedding):
    with pytest.raises(StyleSwapError, match="embedding"):
        Identity(embedding, "r")


def test_w_plus_needs_its_generator():
    with pytest.raises(StyleSwapError, match="generator"):
        identity(w_plus=torch.zeros(6, 32))
    with pytest.raises(StyleSwapError, match="num_ws"):
        identity(w_plus=torch.zeros(6), generator_sha256="c" * 64)
    assert identity(generator_sha256="c" * 64).generator_sha256 == ""


@pytest.mark.parametrize("with_w_plus", [False, True])
def test_file_round_trip_is_exact(tmp_path, with_w_plus):
    more = {"w_plus": torch.randn(6, 32), "generator_sha256": "c" * 64} if with_w_plus else {}
    made = identity(sources=("d" * 64, "e" * 64), **more)
    save_identity(tmp_path / "a.safetensors", made)
    loaded = load_identity(tmp_path / "a.safetensors")
    assert torch.equal(loaded.id_embedding, made.id_embedding)
    assert (loaded.w_plus is None) == (not with_w_plus)
    assert not with_w_plus or torch.equal(loaded.w_plus, made.w_plus)
    for field in ("recognizer", "recognizer_sha256", "sources", "generator_sha256"):
        assert getattr(loaded, field) == getattr(made, field)


def _spoil(change):
    def write(path):
        save_identity(path, identity())
        from safetensors import safe_open

        with safe_open(str(path), "pt") as stream:
            metadata = dict(stream.metadata())
        tensors = load_file(path)
        change(tensors, metadata)
        save_file(tensors, path, metadata)

    return write


@pytest.mark.parametrize(
    "write, words",
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"nothing"), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: (save_identity(path, identity()), path.write_bytes(path.read_bytes()[:-9])), "damaged"),
        (lambda path: save_file({"x": torch.zeros(1)}, path), "not an identity"),
        (_spoil(lambda tensors, metadata: metadata.update(format_version="2")), "format '2'"),
        (_spoil(lambda tensors, metadata: metadata.update(format_version="x")), "format 'x'"),
        (_spoil(lambda tensors, metadata: metadata.update(sources="{")), "metadata"),
        (_spoil(lambda tensors, metadata: tensors.update(id_embedding=torch.ones(64))), "embedding"),
        (_spoil(lambda tensors, metadata: tensors.update(other=tensors.pop("id_embedding"))), "no id_embedding"),
    ],
)
def test_bad_files(tmp_path, write, words):
    path = tmp_path / "a.safetensors"
    write(path)
    with pytest.raises(StyleSwapError, match=words) as caught:
        load_identity(path)
    assert "\n" not in str(caught.value)


def test_saving_wants_its_suffix(tmp_path):
    with pytest.raises(StyleSwapError, match="safetensors"):
        save_identity(tmp_path / "a.bin", identity())
    assert list(tmp_path.iterdir()) == []


def test_average_by_hand():
    axes = torch.eye(512)
    mean = average_embeddings([axes[0] * 7, axes[1]], [3.0, 1.0])
    assert mean[:2].tolist() == pytest.approx([3 / 10**0.5, 1 / 10**0.5])
    for weights in ([0, 0], [1], [-1, 1], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(StyleSwapError, match="weights"):
            average_embeddings([axes[0], axes[1]], weights)
    with pytest.raises(StyleSwapError, match="cancel"):
        average_embeddings([axes[0], -axes[0]])


@pytest.mark.parametrize("distance", [0.4, 1.0])
def test_a_stranger_among_pictures_is_reported(distance):
    person = vector(0)
    pictures = [vector(10 + i, near=person, distance=distance) for i in range(5)]
    cosines, outliers = find_outliers([*pictures, vector(99)])
    assert outliers == [False] * 5 + [True] and cosines[5] < min(cosines[:5])
    assert find_outliers(pictures)[1] == [False] * 5
    assert find_outliers([pictures[0]]) == ([1.0], [False])
    assert find_outliers([pictures[0], vector(99)])[1] == [False, False]


def test_extraction_records_where_it_comes_from(paint):
    paths = [paint(f"{i}.png", 1, 5, i) for i in range(3)]
    made, reports = extract_identity(paths, PaintedFaces())
    assert (made.recognizer, made.recognizer_sha256) == ("painted", "b" * 64)
    assert made.sources == tuple(file_sha256(path) for path in paths)
    assert float(made.id_embedding @ torch.from_numpy(vector(5))) > 0.9
    assert [report.faces_found for report in reports] == [1, 1, 1] and not any(report.outlier for report in reports)


def test_outliers_are_kept_unless_dropped(paint):
    paths = [paint(f"{i}.png", 1, 5, i) for i in range(4)] + [paint("stranger.png", 1, 77)]
    kept, reports = extract_identity(paths, PaintedFaces())
    dropped, _ = extract_identity(paths, PaintedFaces(), drop_outliers=True)
    assert [report.outlier for report in reports] == [False] * 4 + [True]
    assert len(kept.sources) == 5 and len(dropped.sources) == 4
    person = torch.from_numpy(vector(5))
    assert dropped.id_embedding @ person > kept.id_embedding @ person


def test_extraction_errors_name_the_picture(paint, tmp_path):
    for name, count, face, words in [
        ("no.png", 0, "largest", "no face"),
        ("two.png", 2, "all", "one source face"),
        ("far.png", 1, "3", "only 1 face"),
    ]:
        with pytest.raises(StyleSwapError, match=rf"{name}.*{words}"):
            extract_identity([paint(name, count, 1)], PaintedFaces(), face)
    with pytest.raises(StyleSwapError, match="at least one"):
        extract_identity([], PaintedFaces())


def test_blending_moves_between_the_two():
    a, b = identity(1), identity(2)
    blended = blend_identities([a, b], [0.8, 0.2])
    assert cosine_similarity(blended, a) > 0.9 > 0.4 > cosine_similarity(blended, b) > 0.1
    assert torch.allclose(blend_identities([a, b], [1, 0]).id_embedding, a.id_embedding, atol=1e-6)
    with pytest.raises(StyleSwapError, match="at least one"):
        blend_identities([])


def test_blending_keeps_w_plus_only_within_one_generator():
    ones, threes = torch.ones(6, 32), torch.full((6, 32), 3.0)
    a = identity(1, w_plus=ones, generator_sha256="c" * 64, sources=("s", "t"))
    b = identity(2, w_plus=threes, generator_sha256="c" * 64, sources=("t", "u"))
    blended = blend_identities([a, b], [1, 3])
    assert torch.allclose(blended.w_plus, torch.full((6, 32), 2.5)) and blended.generator_sha256 == "c" * 64
    assert blended.sources == ("s", "t", "u")
    assert blend_identities([a, identity(3)]).w_plus is None
    assert blend_identities([a, identity(2, w_plus=threes, generator_sha256="d" * 64)]).w_plus is None


def test_recognizers_do_not_mix():
    a = identity(1)
    for other in (identity(2, "glintr100", "f" * 64), identity(2, "w600k_r50", "f" * 64), identity(2, "glintr100", "")):
        for mix in (lambda x, y: blend_identities([x, y]), cosine_similarity):
            with pytest.raises(StyleSwapError, match="recognizers"):
                mix(a, other)
    # An identity from another program knows the recognizer's name alone.
    blended = blend_identities([identity(2, sha=""), a])
    assert blended.recognizer_sha256 == "a" * 64


def test_a_recognizer_known_by_its_hash_alone_is_named_short():
    assert recognizer_words("w600k_r50") == "'w600k_r50'"
    assert recognizer_words("0123456789abcdef" * 4) == "of sha256 0123456789abcdef"


def test_metadata_is_plain_json(tmp_path):
    from safetensors import safe_open

    save_identity(tmp_path / "a.safetensors", identity(sources=("d" * 64,)))
    with safe_open(str(tmp_path / "a.safetensors"), "pt") as stream:
        metadata = stream.metadata()
    assert metadata["format"] == "styleswap-identity" and json.loads(metadata["sources"]) == ["d" * 64]


def test_a_full_disk_leaves_no_half_file_and_says_so(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    path = tmp_path / "anna.safetensors"
    save_identity(path, Identity(torch.ones(512), "any"))
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StyleSwapError, match="anna.safetensors: No space left on device; make room"):
        save_identity(path, Identity(torch.arange(512.0), "any"))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
