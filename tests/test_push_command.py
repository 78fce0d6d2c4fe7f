"""`townlet push`: a bundle arrives whole in a folder or in a repository, and nothing else is overwritten."""

import base64
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import townlet
from townlet.cli import run_command
from townlet.store import folders

GOLDEN = Path(__file__).parent / "golden" / "v1"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with real weights and a card."""
    run = townlet.open_run("latest", home=shutil.copytree(GOLDEN, tmp_path / "home"))
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.safetensors").write_bytes(run.blobs.get(str(run.state.candidate)))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# A policy\n")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stands on stderr, without the breaks of its lines."""
    return " ".join(capsys.readouterr().err.split())


def test_it_arrives_whole_in_a_new_folder(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the parents it needs; once more changes nothing, and nothing else lies beside it."""
    target = tmp_path / "share" / "policies" / "one"
    assert 0 == run_command(["push", str(bundle), str(target)])
    assert content(bundle) == content(target)
    assert "README.md (33 B)" in capsys.readouterr().out
    assert 0 == run_command(["push", str(bundle), str(target)])
    assert "unchanged" in capsys.readouterr().out
    assert ["one"] == [path.name for path in target.parent.iterdir()]


def test_another_bundle_is_replaced_only_with_force(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of the old one that the new one lacks is gone then."""
    target = tmp_path / "target"
    shutil.copytree(bundle, target)
    (target / "README.md").write_text("older")
    (target / "act.py").write_text("older")
    before = content(target)
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "add --force" in complaint(capsys)
    assert before == content(target)
    assert 0 == run_command(["push", str(bundle), str(target), "--force"])
    assert content(bundle) == content(target)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_no_bundle_is_never_overwritten(
    bundle: Path, tmp_path: Path, force: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with a file of somebody's, a file, a link to a folder."""
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    shutil.copytree(bundle, folder)
    (folder / "notes.txt").write_text("mine")
    file.write_text("mine")
    (tmp_path / "empty").mkdir()
    link.symlink_to(tmp_path / "empty")
    for target in (folder, file, link):
        assert 2 == run_command(["push", str(bundle), str(target), *force])
    assert "holds notes.txt, which is no part of a bundle" in complaint(capsys)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "README.md").write_text("mine")
    (folder / "notes.txt").unlink()
    (folder / "sub" / "sub").mkdir(parents=True)
    for target, why in ((tmp_path / "page", "is no bundle: it lacks policy.safetensors"), (folder, "holds sub/sub/")):
        assert 2 == run_command(["push", str(bundle), str(target), *force])
        assert why in complaint(capsys)
    assert (folder / "sub" / "sub").is_dir()
    (folder / "notes.txt").write_text("mine")
    assert "mine" == (tmp_path / "page" / "README.md").read_text()
    assert ("mine", "mine") == ((folder / "notes.txt").read_text(), file.read_text())
    assert [] == list((tmp_path / "empty").iterdir())


def test_what_is_pushed_must_be_a_bundle_that_acts_as_it_did(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder, no card, a link out of the folder, weights that are damaged: nothing is written."""
    target = tmp_path / "target"
    assert 2 == run_command(["push", str(tmp_path / "nothing"), str(target)])
    assert "is no policy; expected" in complaint(capsys)
    (bundle / "passwords").symlink_to("/etc/hostname")
    assert 2 == run_command(["push", str(bundle), str(target)])
    (bundle / "passwords").unlink()
    weights = (bundle / "policy.safetensors").read_bytes()
    first = 8 + int.from_bytes(weights[:8], "little")  # of the actor: tensors stand in the order of their names
    damaged = bytes(byte ^ 64 for byte in weights[first : first + 64])
    (bundle / "policy.safetensors").write_bytes(weights[:first] + damaged + weights[first + 64 :])
    assert 2 == run_command(["push", str(bundle), str(target)])
    (bundle / "policy.safetensors").write_bytes(weights)
    (bundle / "spec.json").write_text('{"layers": 9}')
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "spec.json: says something else of inputs and outputs than policy.safetensors" in complaint(capsys)
    (bundle / "spec.json").unlink()
    (bundle / "README.md").unlink()
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "the model card" in complaint(capsys)
    assert not target.exists()


def test_a_folder_that_cannot_be_written_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    """A file in the place of the parent."""
    (tmp_path / "file").write_text("")
    assert run_command(["push", str(bundle), str(tmp_path / "file" / "target")]) in (2, 4)
    assert "" == (tmp_path / "file").read_text()


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=repr)
def test_whatever_interrupts_it_leaves_what_was_there(
    bundle: Path, tmp_path: Path, step: int, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file and at each rename: the old bundle whole or the new one, and nothing beside it."""
    target, count = tmp_path / "target", itertools.count()
    shutil.copytree(bundle, target)
    (target / "README.md").write_text("older")
    before = content(target)

    def interrupted(call: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            if next(count) == step:
                raise fault
            call(*arguments)

        return run

    for name in ("write_new", "move"):
        monkeypatch.setattr(folders, name, interrupted(getattr(folders, name)))
    try:
        code = run_command(["push", str(bundle), str(target), "--force"])
    except SystemExit as end:
        code = int(str(end.code))
    assert (code == 0) == (step > 3)
    assert (content(bundle) if step > 3 else before) == content(target)
    assert ["bundle", "home", "target"] == sorted(path.name for path in tmp_path.iterdir())


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


@pytest.mark.parametrize("word", ["hf://me", "hf://me/a/b", "hf://", "hf://me/../x"])
def test_a_repository_has_an_owner_and_a_name(bundle: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Other words after ``hf://`` are refused before anything is read."""
    assert 2 == run_command(["push", str(bundle), word, "--yes"])
    assert "expected hf://USER/NAME" in complaint(capsys)
