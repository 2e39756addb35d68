"""Commands of the documentation that need ComfyUI do what it says."""

import os
import re
import subprocess
import sys

from comfy_server import PACK, find_comfyui

SERVER = "http://127.0.0.1:8188"


def test_the_script_without_the_browser_prints_what_was_saved(server):
    text = (PACK / "docs" / "api-prompts.md").read_text(encoding="utf-8")
    (script,) = [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if SERVER in code]
    done = subprocess.run(
        [sys.executable, "-c", script.replace(SERVER, server.url)],
        cwd=PACK,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kind, folder, name = next(line for line in done.stdout.splitlines() if line.startswith("output ")).split(" ")
    assert kind == "output" and (server.base / "output" / folder / name).is_file()


def test_doctor_runs_from_the_packs_folder_with_comfyuis_python():
    folder, python = find_comfyui()
    words = ["-m", "styleswap_core", "doctor"]
    assert f"python {' '.join(words)}" in (PACK / "docs" / "installation.md").read_text(encoding="utf-8")
    environment = os.environ | {"COMFYUI_PATH": str(folder)}
    done = subprocess.run([python, *words], cwd=PACK, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for start in (
        "python: ",
        "device: ",
        "packages: torch ",
        "onnx providers: ",
        "ComfyUI ",
        "face analysis packs in ",
        "broken: nothing",
        "missing:",
    ):
        assert any(line.startswith(start) for line in lines), f"no line begins with {start!r}"
