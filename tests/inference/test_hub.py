"""The package of the hub itself against a server on this machine; what stands in for it is in `test_saving`."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import inrkit
from inrkit.errors import DataError

pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")

FACES = inrkit.load_plugins().model("faces")
COMMIT = "0" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one model, me/faces, and a file that is none of a model's."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        names = [path.name for path in FACES.iterdir()]
        if self.path.partition("?")[0] in ("/api/models/me/faces/revision/main", "/api/models/me/faces"):
            files = [{"rfilename": name} for name in [*names, "weights.pkl"]]
            self.answer(json.dumps({"id": "me/faces", "sha": COMMIT, "siblings": files}).encode())
        elif self.path.startswith("/api/models/me/faces/tree/"):
            self.answer(json.dumps([{"type": "file", "path": n, "size": 1, "oid": n} for n in names]).encode())
        elif (name := self.path.rpartition("/")[2]) in names and self.path.startswith("/me/faces/resolve/"):
            self.answer((FACES / name).read_bytes())
        else:
            self.answer(b"{}", 404, "RepoNotFound")

    def answer(self, body: bytes, status: int = 200, code: str = "") -> None:
        self.send_response(status)
        headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT, "X-Error-Code": code}
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    Hub.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{found.server_port}")
        monkeypatch.setenv("INRKIT_CACHE", str(tmp_path))
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        yield Hub.asked
        found.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_fetched_and_nothing_else(server: list[str], tmp_path: Path) -> None:
    """Its files go into the cache folder; whatever else lies in the repository stays there."""
    assert inrkit.load("hf://me/faces").step == inrkit.load("faces").step
    assert not any("weights.pkl" in path for path in server)
    assert (tmp_path / "hub" / "me--faces" / "model.safetensors").is_file()


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_model_and_a_missing_network(server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each."""
    with pytest.raises(DataError, match="found none of that name"):
        inrkit.load("hf://me/none")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="check the network") as caught:
        inrkit.load("hf://me/other")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="check the network"):
        inrkit.load("faces").push("me/other")
