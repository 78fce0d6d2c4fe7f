"""`townlet push` to the Hub: one commit of what was shown, tested against a server of our own on this machine."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bundles import bundle_in, content


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with real weights and a card."""
    return bundle_in(tmp_path)


class Hub(ThreadingHTTPServer):
    """What a client asks of the Hub for one commit of small files, on this machine; it keeps what it was sent."""

    requests: list[tuple[str, str, Any]]
    files: dict[str, bytes]
    exists: bool = False
    private: bool = False
    status: int = 0
    """What it answers whatever it is asked, where it is not 0."""
    commits: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers as the Hub's documented API does."""

    server: Hub

    def do_POST(self) -> None:
        """Keep the request and answer it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lines = [json.loads(line) for line in body.splitlines()]
        self.server.requests.append((self.path, str(self.headers.get("Authorization")), lines))
        host = f"http://127.0.0.1:{self.server.server_port}"
        if self.path.endswith("/create"):
            known = self.server.exists
            self.server.private = self.server.private if known else lines[0].get("visibility") == "private"
            self.server.exists = True
            self.answer({"url": f"{host}/me/policy", "name": "me/policy"}, 409 if known else 200)
        elif "/preupload/" in self.path:
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": self.oid(each["path"])}
                for each in lines[0]["files"]
            ]
            self.answer({"files": files})
        elif "/commit/" in self.path:
            self.server.commits += 1
            for line in lines:
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del self.server.files[line["value"]["path"]]
            commit = self.sha()
            self.answer({"commitUrl": f"{host}/me/policy/commit/{commit}", "commitOid": commit, "success": True})
        else:
            self.answer({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        """Say what the repository holds."""
        siblings = [{"rfilename": name} for name in self.server.files]
        self.answer({"id": "me/policy", "sha": self.sha(), "private": self.server.private, "siblings": siblings})

    def sha(self) -> str:
        """Return the name of the last commit."""
        return f"{self.server.commits:040d}"

    def oid(self, name: str) -> str | None:
        """Return git's name of the content of a file that is there."""
        data = self.server.files.get(name)
        return None if data is None else hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()

    def answer(self, value: Any, status: int = 200) -> None:
        """Send JSON."""
        status = 401 if self.headers.get("Authorization") is None else status
        self.send_response(self.server.status or status)
        data = json.dumps(value).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A server that listens on this machine."""
    pytest.importorskip("huggingface_hub")
    server = Hub(("127.0.0.1", 0), Handler)
    server.requests, server.files = [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def push(hub: Hub, tmp_path: Path, *words: str, token: str = "hf_secret") -> "subprocess.CompletedProcess[str]":
    """Run the command against the local server, with a token of its login."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": token,
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "townlet", "push", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_repository_gets_exactly_what_was_shown(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """One commit, made with the token of the library's login, which no message shows."""
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--private", "--yes")
    assert 0 == done.returncode, done.stderr
    assert "private model repository hf://me/policy" in done.stderr
    paths = [path for path, _, _ in hub.requests]
    assert "/api/repos/create" == paths[0]
    assert {"Bearer hf_secret"} == {token for _, token, _ in hub.requests}
    assert "private" == hub.requests[0][2][0]["visibility"]
    (lines,) = [lines for path, _, lines in hub.requests if "/commit/" in path]
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
    }
    assert content(bundle) == sent
    assert "hf_secret" not in done.stdout + done.stderr


def test_without_yes_nothing_leaves_this_machine(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """The command says what would be uploaded, and to where."""
    done = push(hub, tmp_path, str(bundle), "hf://me/policy")
    assert 2 == done.returncode
    assert "to be uploaded to the model repository hf://me/policy" in done.stdout
    assert "policy.safetensors (" in done.stdout
    assert "add --yes" in done.stderr
    assert [] == hub.requests


def test_a_refusal_is_one_sentence(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """With what to do about it."""
    hub.status = 403
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes")
    assert 2 == done.returncode
    assert "hf auth login" in done.stderr
    assert 2 == len(done.stderr.rpartition("policy.safetensors (")[2].splitlines())
    assert "Traceback" not in done.stderr


def test_without_a_token_nothing_is_sent(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """The sentence names the command that logs in."""
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes", token="")
    assert 2 == done.returncode
    assert "you are not logged in to the Hub, and nothing was sent: hf auth login" in done.stderr
    assert [] == hub.requests


def test_a_server_that_fails_or_answers_something_else_is_said_so(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """Whether to try again, or to look at the address."""
    hub.status = 501
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes")
    assert 4 == done.returncode, done.stderr
    assert "cannot be reached: " in done.stderr
    hub.status = 404
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes")
    assert 2 == done.returncode
    assert "refused: " in done.stderr


def test_an_upload_that_is_repeated_changes_nothing(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """The second one says so, and makes no commit."""
    assert "uploaded 2 files to " in push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes").stdout
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes")
    assert (0, 1) == (done.returncode, hub.commits), done.stderr
    assert done.stdout.startswith("unchanged: ")
    assert "No files" not in done.stderr


def test_no_file_of_another_bundle_stays_in_a_repository(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """A graph of older weights would act otherwise than the weights beside it; what is no part of a bundle stays."""
    hub.exists, hub.files = True, {"model.onnx": b"older", "README.md": b"older", "notes.txt": b"mine"}
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--yes")
    assert 0 == done.returncode, done.stderr
    assert content(bundle) | {"notes.txt": b"mine"} == hub.files


def test_a_private_upload_never_goes_where_everybody_looks(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    """A repository that exists and is public is refused; one that is private is taken."""
    hub.exists = True
    done = push(hub, tmp_path, str(bundle), "hf://me/policy", "--private", "--yes")
    assert (2, {}) == (done.returncode, hub.files)
    assert "exists and everybody may see it; nothing was uploaded" in done.stderr
    hub.private = True
    assert 0 == push(hub, tmp_path, str(bundle), "hf://me/policy", "--private", "--yes").returncode
    assert content(bundle) == hub.files
