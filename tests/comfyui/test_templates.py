"""Every template runs as shipped, gives the right result, and is cached the second time."""

import json

import av
import cv2
import numpy as np
import pytest
from workflow_files import (
    SOURCE,
    SOURCE_2,
    SYNTHETIC,
    as_saved,
    load_prompt,
    load_workflow,
    nodes_of,
    only,
    self_contained,
    template_names,
    to_prompt,
)

SAVE = "StyleSwap_SaveImage"
# Template -> output of Synthetic Face that each face of the target, left to right, becomes; None: it stays.
BECOMES = {
    "01_first_swap": [SOURCE],
    "02_two_faces_two_identities": [SOURCE, SOURCE_2],
    "03_average_identity": [SOURCE],
    "04_blend_and_color_match": [SOURCE],
    "05_video_frames": [SOURCE],
    "06_save_and_reuse_identity": [SOURCE],
    "07_choose_face_by_likeness": [SOURCE, None],
    "09_invert_identity": [SOURCE],
    "12_video_stream": [SOURCE],
    "13_video_two_people": [SOURCE, SOURCE_2],
    "14_restore_faces": [SOURCE],
    "15_retouch_by_hand": [SOURCE],
    "16_quick_swap": [SOURCE],
    "17_face_mask": [None, SOURCE],
}
VIDEOS = ("12_video_stream", "13_video_two_people")
MIX = "08_mix_identities"
# Minimum gain in cosine similarity to the source over the unswapped target, by the demo recognizer.
MIN_GAIN = 0.25


def test_all_templates_have_an_expected_result():
    assert set(self_contained()) == {*BECOMES, MIX}


@pytest.mark.parametrize("name", template_names())
def test_the_api_format_has_the_same_content(node_infos, name):
    prompt = to_prompt(load_workflow(name), node_infos)
    assert as_saved(prompt, load_prompt(name), node_infos) == load_prompt(name)


@pytest.mark.parametrize("name", self_contained())
def test_needs_no_file_and_no_download(name):
    for node in load_prompt(name).values():
        assert node["class_type"] not in ("LoadImage", "LoadVideo"), "a template must not need a file"
        assert node["inputs"].get("download", False) is False
        for key in ("model_name", "pack"):
            assert "built in" in node["inputs"].get(key, "built in")


@pytest.mark.parametrize("name", sorted(BECOMES))
def test_faces_become_the_sources(template_runs, analyzer, name):
    run, _ = template_runs(name)
    result = run.pixels("blended" if run.files("blended") else "swapped")
    people = {
        SOURCE: _mean_embedding(analyzer, run.pixels("source")),
        SOURCE_2: _mean_embedding(analyzer, run.pixels("source_2")),
    }
    gains = []
    for before, after in zip(run.pixels("target"), result, strict=True):
        faces = analyzer.detect(before, order="left-right")
        assert len(faces) == len(BECOMES[name])
        for face, person in zip(faces, BECOMES[name], strict=True):
            new = analyzer.embed(after, face.points)
            if person is None:
                assert float(new @ face.id_embedding) > 0.95, "a face that was not chosen has changed"
                continue
            was, now = float(face.id_embedding @ people[person]), float(new @ people[person])
            gains.append(now - was)
            assert now > float(new @ face.id_embedding), f"{name}: closer to the target's own face than to the source"
    assert min(gains) > 0 and np.mean(gains) >= MIN_GAIN, f"{name}: {gains}"


@pytest.mark.parametrize("name", [name for name in self_contained() if name not in VIDEOS])
def test_the_background_stays(template_runs, name):
    run, _ = template_runs(name)
    pairs = [("swapped", "mask")] + [("blended", "final_mask")] * bool(run.files("blended"))
    for picture, mask in pairs:
        target, result = run.pixels("target").astype(int), run.pixels(picture).astype(int)
        outside = run.pixels(mask)[..., 0] == 0
        assert result.shape == target.shape
        assert outside.mean() > 0.3
        assert np.abs(result - target)[outside].max() <= 1
        assert np.abs(result - target)[~outside].max() > 20, "nothing was swapped"


def test_a_blend_resembles_both(template_runs, analyzer):
    run, _ = template_runs(MIX)
    before, after = run.pixels("target")[0], run.pixels("swapped")[0]
    (face,) = analyzer.detect(before)
    new = analyzer.embed(after, face.points)
    for key in ("source", "source_2"):
        person = _mean_embedding(analyzer, run.pixels(key))
        assert float(new @ person) > float(face.id_embedding @ person) + 0.1


@pytest.mark.parametrize("name", self_contained())
def test_the_second_run_is_cached(template_runs, name):
    _, second = template_runs(name)
    assert second.executed() == set()


@pytest.mark.parametrize("name", [name for name in self_contained() if nodes_of(load_prompt(name), SAVE)])
def test_saved_images_are_labeled(template_runs, name):
    run, _ = template_runs(name)
    prompt = load_prompt(name)
    for key in nodes_of(prompt, SAVE):
        assert run.files(key)
        for picture in run.pictures(key):
            entry = picture.text["styleswap"]
            assert entry.startswith("face swapped; model ") and "identity " in entry
            assert json.loads(picture.text["workflow"])["nodes"] == load_workflow(name)["nodes"]
            assert set(prompt) <= set(json.loads(picture.text["prompt"]))


def test_the_video_template_keeps_every_frame(template_runs, tmp_path):
    run, _ = template_runs("05_video_frames")
    prompt = load_prompt("05_video_frames")
    frames = prompt[only(prompt, SYNTHETIC)]["inputs"]["frames"]
    assert len(run.pixels("swapped")) == len(run.pixels("target")) == frames
    (saved,) = run.files(only(prompt, "SaveVideo"))
    path = tmp_path / "clip.mp4"
    path.write_bytes(run.server.view(saved))
    clip = cv2.VideoCapture(str(path))
    assert int(clip.get(cv2.CAP_PROP_FRAME_COUNT)) == frames
    clip.release()


@pytest.mark.parametrize("name", VIDEOS)
def test_a_streamed_video_keeps_every_frame_and_the_background(template_runs, name, tmp_path):
    run, _ = template_runs(name)
    prompt = load_prompt(name)
    target, result = run.pixels("target").astype(int), run.pixels("swapped").astype(int)
    assert len(result) == prompt[only(prompt, SYNTHETIC)]["inputs"]["frames"]
    # The border shows no face; what differs there is the loss of the encoder.
    difference = np.abs(result - target)
    assert difference[:, :16].mean() < 4
    assert difference.max() > 40, "nothing was swapped"
    (saved,) = run.files(only(prompt, "SaveVideo"))
    path = tmp_path / "clip.mp4"
    path.write_bytes(run.server.view(saved))
    with av.open(str(path)) as container:
        assert container.metadata["styleswap"].startswith("face swapped; model ")
        frames = list(container.decode(video=0))
    # Save Video does not encode again. Newer cores decode to floating point, and Preview Image rounds down.
    decoded = [
        np.stack([frame.to_ndarray(format="rgb24") for frame in frames]),
        np.stack([(frame.to_ndarray(format="gbrpf32le") * 255).clip(0, 255).astype(np.uint8) for frame in frames]),
    ]
    assert any(np.array_equal(pictures, run.pixels("swapped")) for pictures in decoded)
    (report,) = run.texts(only(prompt, "PreviewAny"))
    assert report.count("track ") == len(BECOMES[name])


@pytest.mark.parametrize("name", template_names())
def test_a_note_explains_the_template(name):
    notes = [node for node in load_workflow(name)["nodes"] if node["type"] == "MarkdownNote"]
    assert notes
    assert sum(len(note["widgets_values"][0]) for note in notes) > 200


def _mean_embedding(analyzer, pictures):
    """Normalized mean embedding of the largest face of each image."""
    embeddings = []
    for picture in pictures:
        faces = analyzer.detect(picture)
        if faces:
            embeddings.append(max(faces, key=lambda face: face.area).id_embedding)
    mean = np.mean(embeddings, axis=0)
    return mean / np.linalg.norm(mean)
