"""A teacher's swaps of a prepared set: pairs, files, judgment, continued runs, and training on them."""

import dataclasses
import io
import json
import shutil
import tarfile
from collections import namedtuple
from pathlib import Path

import cv2
import guest_forms
import numpy as np
import pytest
import torch
from killed_worker import SETTINGS as KILLED_SETTINGS

from styleswap_core.checkpoints import DEMO_MODEL, load_generator, save_generator
from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.masking.face_masks import FaceMasks
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.preparation import teaching
from styleswap_core.preparation.prepare import prepare
from styleswap_core.preparation.prepared_set import PreparedSet, ShardReader
from styleswap_core.preparation.teacher import Teacher
from styleswap_core.preparation.teacher_pairs import SourceChoice
from styleswap_core.preparation.teacher_set import SWAP, TEACHER, TeacherSwaps
from styleswap_core.preparation.teacher_settings import TeacherSettings
from styleswap_core.training.batches import spaced_rows
from styleswap_core.training.shard_source import ShardSource

FOLDERS = dataclasses.replace(KILLED_SETTINGS, duplicate_distance=8, people="folders")
SWAPS = 2
TEACHER_SETTINGS = TeacherSettings(str(DEMO_MODEL), SWAPS)
SIZE = FOLDERS.size


@pytest.fixture
def untaught(prepared_folder, tmp_path):
    """A copy of the set without a teacher."""
    return shutil.copytree(prepared_folder, tmp_path / "set")


@pytest.fixture(scope="module")
def taught_folder(prepared_folder, people_folder, tmp_path_factory):
    """The set with swaps of the demo model."""
    out = shutil.copytree(prepared_folder, tmp_path_factory.mktemp("taught") / "set")
    prepare(people_folder, out, FOLDERS, teacher=TEACHER_SETTINGS, device="cpu")
    return out


@pytest.fixture(scope="module")
def swaps(taught_folder):
    return TeacherSwaps.open(PreparedSet.open(taught_folder))


def content(folder: Path) -> dict[str, bytes]:
    """Files of the teacher, by name."""
    return {path.name: path.read_bytes() for path in sorted((folder / TEACHER).iterdir())}


# --- pairs


def random_embeddings(count):
    values = np.random.default_rng(0).standard_normal((count, 64)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_sources_are_other_people_equally_often():
    people = np.array([0] * 6 + [1] * 3 + [2] * 1)
    choice = SourceChoice(people, random_embeddings(10), likeness=0.9)
    drawn = np.array([choice.sources(row, 200) for row in (0, 5)]).ravel()
    assert not (people[drawn] == 0).any()
    # Person 2 has a third of person 1's pictures, and the same chance.
    first = [choice.sources(row, 1)[0] for row in range(6)] + [choice.sources(0, 1)[0]]
    assert first[0] == first[-1] and len(set(first)) > 1
    many = SourceChoice(np.r_[np.zeros(3000, int), np.repeat([1, 2], [30, 10])], random_embeddings(3040), 0.9)
    owners = np.array([many.sources(row, 1)[0] for row in range(3000)]) >= 3030
    assert owners.mean() == pytest.approx(0.5, abs=0.04)


def test_swaps_of_a_picture_have_different_sources():
    choice = SourceChoice(np.arange(40), random_embeddings(40), likeness=0.9)
    assert all(len(set(choice.sources(row, 4))) == 4 for row in range(40))


def test_a_person_who_was_split_in_two_is_not_its_own_source():
    people, embeddings = np.arange(4), random_embeddings(4)
    embeddings[1] = embeddings[0]
    choice = SourceChoice(people, embeddings, likeness=0.5)
    assert {choice.sources(0, 1)[0] for _ in range(3)} <= {2, 3}
    assert all(1 not in choice.sources(0, swaps) for swaps in (1, 2))


# --- files


def test_every_picture_is_swapped_with_another_person(swaps):
    prepared = swaps.prepared
    count = len(prepared) * SWAPS
    assert len(swaps.rows) == count and swaps.card["kept"] == count == len(swaps.usable())
    assert swaps.card["sha256"] and swaps.card["file"] == DEMO_MODEL.name
    pictures = swaps.pictures(np.arange(count))
    assert pictures.tolist() == np.repeat(np.arange(len(prepared)), SWAPS).tolist()
    people = np.asarray(prepared.people)
    assert (people[pictures] != people[swaps.rows["source"]]).all()
    assert (swaps.rows["likeness"] >= TEACHER_SETTINGS.likeness).all()
    assert (swaps.rows["likeness"] > swaps.rows["own_likeness"]).all()


def test_swaps_change_the_face_and_nothing_else(swaps):
    reader = ShardReader(swaps.prepared)
    for number in range(0, len(swaps.rows), 5):
        picture = reader.image(int(swaps.pictures(number))).astype(float)
        swapped, mask = swaps.image(number).astype(float), swaps.mask(number)
        difference = np.abs(swapped - picture).mean(2)
        far = cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0  # JPEG blocks at the edge of the mask change, too
        assert difference[far].mean() < 3 < difference[mask > 200].mean()
        assert 0.1 < (mask > 127).mean() < 0.8


def test_the_tars_hold_what_the_index_says(swaps, taught_folder):
    found = {}
    for path in sorted((taught_folder / TEACHER).glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    assert len(found) == 3 * len(swaps.rows)
    for number, row in enumerate(swaps.rows):
        key = f"{number // SWAPS:09d}.teacher{number % SWAPS}"
        image = cv2.imdecode(np.frombuffer(found[f"{key}.jpg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.array_equal(swaps.image(number), image)
        assert json.loads(found[f"{key}.json"])["source"] == row["source"]


def test_a_teacher_can_be_added_to_a_finished_set(taught_folder, prepared_folder):
    for name in ("index.bin", "embeddings.bin", "people.npy", "dropped.tsv"):
        assert (taught_folder / name).read_bytes() == (prepared_folder / name).read_bytes()
    assert "Teacher" in (taught_folder / "report.html").read_text(encoding="utf-8")
    before, after = PreparedSet.open(prepared_folder).manifest, PreparedSet.open(taught_folder).manifest
    # Programs that do not know of teachers refuse the version, instead of training without the swaps.
    assert (before["format_version"], after["format_version"]) == (1, 2) and "teacher" not in before
    with pytest.raises(StyleSwapError, match="--teacher FILE"):
        TeacherSwaps.open(PreparedSet.open(prepared_folder))


# --- continued runs


@pytest.mark.usefixtures("forked_workers")
def test_interruptions_and_processes_do_not_change_the_swaps(untaught, people_folder, taught_folder, monkeypatch):
    commit, write = teaching._Run._commit, teaching._Run._write
    written = []

    def write_some(run, judged):
        if len(written) == 20:
            raise KeyboardInterrupt
        written.append(judged)
        write(run, judged)

    monkeypatch.setattr(teaching, "_COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(teaching._Run, "_write", write_some)
    with pytest.raises(KeyboardInterrupt):
        prepare(people_folder, untaught, FOLDERS, teacher=TEACHER_SETTINGS, device="cpu")
    monkeypatch.setattr(teaching._Run, "_write", write)
    commits = []
    monkeypatch.setattr(teaching._Run, "_commit", lambda run: (commits.append(run._rows), commit(run)))
    prepare(people_folder, untaught, FOLDERS, workers=2, teacher=TEACHER_SETTINGS, device="cpu")
    assert commits[0] > 8  # the pictures before were not swapped again
    assert content(untaught) == content(taught_folder)


def test_new_pictures_are_swapped_by_a_later_run(people_folder, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "set"
    for person in ("person0", "person1"):
        shutil.copytree(people_folder / person, folder / person)
    teacher = TeacherSettings(str(DEMO_MODEL))
    prepare(folder, out, FOLDERS, teacher=teacher, device="cpu")
    before = TeacherSwaps.open(PreparedSet.open(out)).rows.copy()
    shutil.copytree(people_folder / "person2", folder / "person2")
    prepare(folder, out, FOLDERS, teacher=teacher, device="cpu")
    swaps = TeacherSwaps.open(PreparedSet.open(out))
    assert len(swaps.rows) == len(before) + 3 and np.array_equal(swaps.rows[: len(before)], before)
    assert swaps.image(len(before)).shape == (SIZE, SIZE, 3)


def test_other_teachers_are_refused_until_the_swaps_are_deleted(untaught, people_folder, taught_folder):
    shutil.rmtree(untaught)
    shutil.copytree(taught_folder, untaught)
    with pytest.raises(StyleSwapError, match=r"other settings \(swaps\)"):
        prepare(people_folder, untaught, FOLDERS, teacher=dataclasses.replace(TEACHER_SETTINGS, swaps=1))
    with pytest.raises(StyleSwapError, match="repeat the command with its --teacher"):
        prepare(people_folder, untaught, FOLDERS)
    assert content(untaught) == content(taught_folder)
    shutil.rmtree(untaught / TEACHER)
    assert "teacher" not in prepare(people_folder, untaught, FOLDERS).manifest


# --- bad teachers


def test_swaps_that_resemble_nobody_are_dropped(untaught, people_folder, capsys):
    teacher = dataclasses.replace(TEACHER_SETTINGS, likeness=1.0)
    card = prepare(people_folder, untaught, FOLDERS, teacher=teacher, device="cpu").manifest["teacher"]
    assert card["kept"] == 0 and card["dropped"] == {"unlike the source": 24, "like the target": 0}
    prepared = PreparedSet.open(untaught)
    assert not (TeacherSwaps.open(prepared).rows["image_bytes"]).any()
    assert "Most swaps of the teacher were dropped" in (untaught / "report.html").read_text(encoding="utf-8")
    with pytest.raises(StyleSwapError, match="teacher_share=0"):
        source(prepared, taught=spaced_rows(16, 0.5))


def test_swaps_that_are_not_finite_are_dropped(untaught, people_folder, monkeypatch):
    embed = Teacher.__init__

    def broken(self, settings, analyzer, device=None):
        embed(self, settings, analyzer, device)
        swap = self.network.swap_crops
        self.network.swap_crops = lambda *args: (lambda out: out._replace(rgb=out.rgb * float("nan")))(swap(*args))

    monkeypatch.setattr(Teacher, "__init__", broken)
    card = prepare(people_folder, untaught, FOLDERS, teacher=TEACHER_SETTINGS, device="cpu").manifest["teacher"]
    assert card["kept"] == 0


def test_a_teacher_of_another_recognizer_is_refused(untaught, people_folder, tmp_path):
    config = GeneratorConfig(size=32, recognizer="w600k_r50", recognizer_sha256="1" * 64)
    save_generator(tmp_path / "other.safetensors", Generator(config), {})
    before = (untaught / "prepared.json").read_bytes()
    with pytest.raises(StyleSwapError, match=r"w600k_r50 .* the pictures are prepared with arcface_demo"):
        prepare(people_folder, untaught, FOLDERS, teacher=TeacherSettings(str(tmp_path / "other.safetensors")))
    with pytest.raises(StyleSwapError, match=r"nowhere\.safetensors"):
        prepare(people_folder, untaught, FOLDERS, teacher=TeacherSettings(str(tmp_path / "nowhere.safetensors")))
    assert (untaught / "prepared.json").read_bytes() == before and not (untaught / TEACHER).exists()


def test_a_full_disk_is_noticed_before_the_swaps(untaught, people_folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(teaching.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(StyleSwapError, match="24 swaps of the teacher need about .* make room"):
        prepare(people_folder, untaught, FOLDERS, teacher=TEACHER_SETTINGS, device="cpu")
    assert not list((untaught / TEACHER).glob("*.tar*"))


def test_a_forecast_is_given_once(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(teaching.time, "monotonic", lambda: now[0])
    forecast = teaching._Forecast(rows=1000, swaps=2)
    for done in range(10, 500, 10):
        forecast.observe(done)
        now[0] += 6.0  # 0.6 s per picture
    # After 12 s, the swaps of 30 of 1000 pictures are made.
    said = [line for line in capsys.readouterr().err.splitlines() if "take about" in line]
    assert said == ["styleswap: the remaining 1940 swaps of the teacher take about 10 min"]


def test_damaged_swaps_are_refused(taught_folder, untaught):
    shutil.rmtree(untaught)
    shutil.copytree(taught_folder, untaught)
    index = untaught / TEACHER / "index.bin"
    index.write_bytes(index.read_bytes()[: -SWAP.itemsize])
    with pytest.raises(StyleSwapError, match="too short"):
        TeacherSwaps.open(PreparedSet.open(untaught))


@pytest.mark.parametrize("values", [{"swaps": 0}, {"likeness": 1.5}, {"likeness": float("nan")}])
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(StyleSwapError, match="teacher_"):
        TeacherSettings("model.safetensors", **values)


# --- training


def source(prepared, **changes):
    values = {
        "recognizer": RecognizerId("arcface_demo", prepared.manifest["recognizer_sha256"]),
        "template": "ffhq",
        "size": SIZE,
        "batch": 16,
        "seed": 3,
        "same_identity_share": 0.25,
    }
    return ShardSource(prepared, **{**values, **changes})


def test_the_result_of_a_taught_row_is_the_photograph(swaps):
    prepared, reader, taught = swaps.prepared, ShardReader(swaps.prepared), spaced_rows(16, 0.5)
    data = source(prepared, taught=taught)
    batch, draw, people = data.batch(4), data.draw(4), np.asarray(prepared.people)
    assert np.array_equal(draw.swap >= 0, taught) and taught.sum() == 8
    assert batch.truth_known[taught].all() and not batch.same_identity[taught].any()
    for row in np.flatnonzero(taught):
        number, picture = draw.swap[row], draw.target[row]
        assert picture == swaps.pictures(number)
        assert torch.allclose(batch.target[row], pixels(swaps.image(number)), atol=1e-5)
        assert torch.allclose(batch.truth[row], pixels(reader.image(picture)), atol=1e-5)
        # The source is the person in the photograph, from another photograph.
        photo = draw.source_photo[row]
        assert people[photo] == people[picture] and photo != picture
        assert np.array_equal(batch.id_embedding[row].numpy(), prepared.embeddings[photo])
        mask = np.maximum(reader.mask(picture), swaps.mask(number)) / 255
        assert torch.allclose(batch.face_mask[row, 0], torch.from_numpy(mask).float(), atol=1e-5)


def pixels(picture):
    return torch.from_numpy(picture.transpose(2, 0, 1)).float() * (2 / 255) - 1


def test_other_rows_are_those_of_a_set_without_a_teacher(swaps):
    taught = spaced_rows(16, 0.25)
    with_teacher, without = source(swaps.prepared, taught=taught).batch(2), source(swaps.prepared).batch(2)
    for field in dataclasses.fields(without):
        one, other = getattr(with_teacher, field.name), getattr(without, field.name)
        assert one is other is None or torch.equal(one[~taught], other[~taught]), field.name
    assert not torch.equal(with_teacher.target[taught], without.target[taught])


def test_processes_share_a_batch_with_taught_rows(swaps):
    taught = spaced_rows(16, 0.5)
    whole = source(swaps.prepared, taught=taught).batch(9)
    for rank in range(2):
        part = source(swaps.prepared, taught=taught, rows=slice(rank, None, 2)).batch(9)
        for name in ("target", "truth", "truth_known", "face_mask", "id_embedding"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[rank::2]), name


def test_train_uses_a_teacher_without_further_options(taught_folder, tmp_path, capsys):
    words = ["train", "--device", "cpu", "--threads", "1"]
    settings = {"model": "tiny", "data": taught_folder, "steps": 1, "batch": 4, "precision": "fp32", "sample_images": 0}
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    assert main([*words, "--out", str(tmp_path / "taught")]) == 0
    assert f"teacher: 24 swaps by {DEMO_MODEL.name} are the targets of 50%" in capsys.readouterr().err
    metadata = load_generator(tmp_path / "taught" / "generator_ema.safetensors")[1]
    assert metadata["training"]["teacher_share"] == 0.5 and metadata["teacher"]["file"] == DEMO_MODEL.name
    assert main([*words, "--out", str(tmp_path / "own"), "--set", "teacher_share=0"]) == 0
    assert "teacher:" not in capsys.readouterr().err
    assert "teacher" not in load_generator(tmp_path / "own" / "generator_ema.safetensors")[1]


def test_prepare_command_has_a_teacher(people_folder, untaught, tmp_path, monkeypatch, capsys):
    words = ["prepare", str(people_folder), str(untaught), "--size", "64", "--people", "folders", "--workers", "1"]
    words += ["--min-side", "30", "--shard", "5", "--max-yaw", "80", "--max-pitch", "80", "--max-outside", "0.5"]
    words += ["--min-score", "0.5", "--teacher", str(DEMO_MODEL), "--device", "cpu"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert f"12 swaps of the teacher {DEMO_MODEL.name}; dropped: 0 unlike the source" in printed.out
    assert f"teacher {DEMO_MODEL.name}: 12 swaps on cpu, about 1 MB on disk" in printed.err
    # The same file by its name in one of the folders for models.
    place = tmp_path / "models" / "styleswap" / DEMO_MODEL.name
    place.parent.mkdir(parents=True)
    shutil.copy(DEMO_MODEL, place)
    monkeypatch.chdir(tmp_path)
    words[words.index(str(DEMO_MODEL))] = DEMO_MODEL.stem
    assert main([*words, "--json"]) == 0
    assert json.load(io.StringIO(capsys.readouterr().out))["teacher"]["kept"] == 12


# --- teachers of other programs


@pytest.fixture(scope="module")
def exported_teacher(tmp_path_factory):
    """The demo model in the form of inswapper files, which have no mask."""
    path = tmp_path_factory.mktemp("exported") / "demo.onnx"
    generator, _ = load_generator(DEMO_MODEL)
    export_guest(path, generator, "inswapper", template_ok=True)
    return path


def test_an_exported_teacher_swaps_like_the_native_one(exported_teacher, untaught, people_folder, swaps):
    teacher = dataclasses.replace(TEACHER_SETTINGS, file=str(exported_teacher))
    card = prepare(people_folder, untaught, FOLDERS, teacher=teacher, device="cpu").manifest["teacher"]
    assert card["kept"] == 24 and card["name"] == "demo (inswapper)" and "license" in card["license"]
    found = TeacherSwaps.open(PreparedSet.open(untaught))
    assert np.array_equal(found.rows["source"], swaps.rows["source"])
    for number in range(0, 24, 7):
        inside = swaps.mask(number) == 255
        difference = np.abs(found.image(number).astype(float) - swaps.image(number))[inside]
        assert inside.mean() > 0.05 and difference.mean() < 4  # of 255: JPEG at two different masks


def test_made_masks_cover_the_whole_face_and_are_not_learned(exported_teacher, untaught, people_folder, swaps):
    teacher = dataclasses.replace(TEACHER_SETTINGS, file=str(exported_teacher))
    prepare(people_folder, untaught, FOLDERS, teacher=teacher, device="cpu")
    found, reader = TeacherSwaps.open(PreparedSet.open(untaught)), ShardReader(swaps.prepared)
    assert swaps.has_masks and not found.has_masks and not found.rows["mask_bytes"].any()
    taught = spaced_rows(16, 0.5)
    batch, draw = source(found.prepared, taught=taught).batch(4), source(found.prepared, taught=taught).draw(4)
    for row in np.flatnonzero(taught):
        own = torch.from_numpy(reader.mask(draw.target[row])).float() / 255
        assert torch.allclose(batch.face_mask[row, 0], own, atol=1e-5)
    masks = teaching._WideMasks()
    crops, points = batch.truth, batch.points
    wide, plain = masks.mask(crops, points, None), FaceMasks().mask(crops, points, None)
    # The soft edge lies outside of what the plain mask covers.
    assert (wide >= plain).all() and wide[plain > 0.1].min() > 0.9
    assert masks.mask(crops, points, plain) is plain


def guest(tmp_path, write, name, swaps):
    """A teacher of a family of guests, and the identity of picture 3 for it."""
    write(tmp_path / name)
    analyzer = load_face_analysis()
    teacher = Teacher(TeacherSettings(str(tmp_path / name), any_recognizer=True), analyzer, "cpu")
    return teacher, teacher.identity(swaps.prepared, ShardReader(swaps.prepared), 3)


def test_teachers_get_the_raw_embedding_or_a_portrait_where_they_need_it(tmp_path, swaps):
    guest_forms.write_converter(tmp_path / "crossface_ghost.onnx")
    teacher, identity = guest(tmp_path, guest_forms.write_ghost, "ghost_1_256.onnx", swaps)
    points = swaps.prepared.rows["points"][3]
    embedding, norm = teacher.analyzer.embed_with_norm(ShardReader(swaps.prepared).image(3), points)
    assert identity.embedding_norm == norm > 0 and np.allclose(np.linalg.norm(embedding), 1)
    assert np.array_equal(identity.id_embedding, swaps.prepared.embeddings[3])
    _, identity = guest(tmp_path, guest_forms.write_blendswap, "blendswap_256.onnx", swaps)
    assert tuple(identity.portrait.shape) == (3, 512, 512)
    assert identity.portrait_points.mean(0).numpy() == pytest.approx(points.mean(0) * 512 / SIZE, abs=1)


def test_a_teacher_with_a_person_of_its_own_is_refused(tmp_path, swaps):
    with pytest.raises(StyleSwapError, match="contains its own person"):
        guest(tmp_path, guest_forms.write_dfm, "someone.dfm", swaps)
