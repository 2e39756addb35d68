"""Preparation and training with a pack for photographs, whose recognizer has operators that ArcFace's graphs lack."""

from real_faces import PACK, PORTRAITS, RECOGNIZER, needs_real_faces

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.cli import main
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.io.files import file_sha256


@needs_real_faces
def test_a_tiny_model_trains_on_photographs(tmp_path):
    folder = tmp_path / "portraits"
    folder.mkdir()
    for path in sorted(PORTRAITS.glob("*.jpg"))[:4]:
        (folder / path.name).symlink_to(path)
    prepared, run = tmp_path / "set", tmp_path / "run"
    assert main(["prepare", str(folder), str(prepared), "--size", "32", "--pack", str(PACK)]) == 0
    settings = [f"data={prepared}", f"recognizer={RECOGNIZER}", "model=tiny", "steps=1", "batch=2", "sample_images=0"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", "--out", str(run), "--device", "cpu", *words]) == 0
    generator, _ = load_generator(run / "generator_ema.safetensors")
    config = generator.config
    trained = RecognizerId(config.recognizer, config.recognizer_sha256, config.style_dim)
    assert trained.matches(RecognizerId(RECOGNIZER.stem, file_sha256(RECOGNIZER), 512))
