"""The pack opencv_zoo in a ComfyUI without insightface and ONNX Runtime."""

import json

import numpy as np
import pytest
from comfy_server import ComfyServer, error_message, link_pack
from PIL import Image
from workflow_files import default_inputs
from zoo_networks import write_zoo

LOAD, DETECT, EXTRACT, COMPARE = (
    f"StyleSwap_{name}" for name in ("LoadFaceAnalysis", "DetectFaces", "ExtractArcFaceID", "CompareIdentity")
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server without network, insightface and ONNX Runtime, with a picture and its own networks."""
    base = tmp_path_factory.mktemp("zoo_server")
    link_pack(base)
    (base / "input").mkdir()
    shown = np.zeros((320, 320, 3), np.uint8)
    shown[64:96, 128:160] = shown[192:224, 32:64] = 255
    Image.fromarray(shown).save(base / "input" / "blocks.png")
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(base)}
    with ComfyServer(base, blocked=("insightface", "onnxruntime"), environment=nowhere) as running:
        yield running


def prompt(server, **values):
    nodes = {name: info for name, info in server.get("/object_info").items() if name.startswith("StyleSwap_")}
    analysis = default_inputs(nodes[LOAD]) | {"pack": "opencv_zoo"} | values
    image = {"class_type": "LoadImage", "inputs": {"image": "blocks.png"}}
    detect = default_inputs(nodes[DETECT]) | {"face_analysis": ["1", 0], "image": ["2", 0], "order": "left-right"}
    extract = default_inputs(nodes[EXTRACT]) | {"face_analysis": ["1", 0], "image": ["2", 0]}
    compare = default_inputs(nodes[COMPARE]) | {"identity_a": ["4", 0], "identity_b": ["4", 0]}
    return {
        "1": {"class_type": LOAD, "inputs": analysis},
        "2": image,
        "3": {"class_type": DETECT, "inputs": detect},
        "4": {"class_type": EXTRACT, "inputs": extract},
        "5": {"class_type": COMPARE, "inputs": compare},
        **{
            f"text{number}": {"class_type": "PreviewAny", "inputs": {"source": link}}
            for number, link in enumerate((["1", 1], ["3", 1], ["5", 1]))
        },
    }


def test_missing_files_and_a_failed_download_are_one_sentence(server):
    status, answer = server.post("/prompt", {"prompt": prompt(server)})
    message = json.dumps(answer)
    assert status == 400 and "face_detection_yunet_2023mar.onnx" in message and "YuNet MIT, SFace Apache-2.0" in message
    entry = server.await_end(server.queue(prompt(server, download=True)))
    message = error_message(entry)
    assert "could not download face_detection_yunet_2023mar.onnx" in message and "\n" not in message.strip()
    assert not (server.base / "models" / "opencv_zoo").exists()


def test_faces_are_found_and_embedded_without_insightface(server):
    write_zoo(server.base / "models" / "opencv_zoo")
    entry = server.run(prompt(server)).entry
    info, faces, _ = (entry["outputs"][f"text{number}"]["text"][0] for number in range(3))
    assert "recognizer: face_recognition_sface_2021dec" in info and "license: YuNet MIT, SFace Apache-2.0" in info
    found = json.loads(faces)[0]
    assert [face["points"][0][0] // 32 for face in found] == [1, 4]
    # By its short form, which is not in the list.
    server.run(prompt(server, pack="opencv", detection_size="640"))


def test_cuda_is_refused(server):
    write_zoo(server.base / "models" / "opencv_zoo")
    assert "on the CPU" in error_message(server.await_end(server.queue(prompt(server, run_on="CUDA"))))
