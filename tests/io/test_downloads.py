"""Downloads from a local server: complete files only, hashes, interruptions, errors of one line."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.io.downloads import RemoteFile, download

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        body = {"/short": CONTENT[:-1], "/page": b"<html>sign in</html>", "/long": CONTENT * 3}.get(self.path, CONTENT)
        if self.path == "/other":
            body = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A connection that breaks half way.
        self.wfile.write(body[: len(body) // 2] if self.path == "/broken" else body)

    def log_message(self, *_arguments):
        """No log."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def remote(url):
    return RemoteFile("network.onnx", url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "MIT")


@pytest.mark.parametrize("path", ["/whole", "/moved"])
def test_the_file_arrives_with_progress(address, tmp_path, path):
    steps = []
    saved = download(remote(address + path), tmp_path / "new" / "folder", lambda *step: steps.append(step))
    assert saved == tmp_path / "new" / "folder" / "network.onnx" and saved.read_bytes() == CONTENT
    assert [entry.name for entry in saved.parent.iterdir()] == ["network.onnx"]
    assert steps[-1] == (len(CONTENT), len(CONTENT)) and steps == sorted(steps) and len(steps) > 1


def test_the_progress_bar_shows_the_license(address, tmp_path, capsys):
    download(remote(address + "/whole"), tmp_path)
    printed = capsys.readouterr()
    assert "network.onnx (MIT)" in printed.err and printed.out == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/short", "got 299,999 of 300,000 bytes"),
        ("/broken", "could not download network.onnx|of 300,000 bytes"),
        ("/other", "got another SHA-256"),
        ("/page", "got 20 of 300,000 bytes"),
        ("/long", "of 300,000 bytes"),
        ("/gone", "could not download network.onnx .*404"),
    ],
)
def test_anything_but_the_file_leaves_nothing_behind(address, tmp_path, path, words):
    with pytest.raises(StyleSwapError, match=words) as caught:
        download(remote(address + path), tmp_path / "new" / "folder", lambda *step: None)
    assert "\n" not in str(caught.value) and str(tmp_path / "new" / "folder") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_survives_a_failure(address, tmp_path):
    (tmp_path / "network.onnx").write_bytes(b"old")
    with pytest.raises(StyleSwapError):
        download(remote(address + "/other"), tmp_path, lambda *step: None)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("network.onnx", b"old")]


def test_no_network_is_one_sentence(tmp_path):
    with pytest.raises(StyleSwapError, match="could not download network.onnx .*check the network") as caught:
        download(remote("http://127.0.0.1:9/network.onnx"), tmp_path / "new", lambda *step: None)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_a_caller_may_cancel(address, tmp_path):
    def cancel(received, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(remote(address + "/whole"), tmp_path / "new", cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(address, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StyleSwapError, match="cannot create"):
        download(remote(address + "/whole"), tmp_path / "file" / "folder", lambda *step: None)
