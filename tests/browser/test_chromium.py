"""Who asks for the browser tests gets a browser, or a sentence that says why there is none."""

import sys
from pathlib import Path

import pytest
from chromium import install_chromium


@pytest.fixture(autouse=True)
def no_system_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the Chromium that this machine may have."""
    monkeypatch.setenv("PATH", str(tmp_path))


def writes(path: Path) -> list[str]:
    """Return a command that makes a file."""
    return [sys.executable, "-c", f"open({str(path)!r}, 'w').close()"]


def test_the_first_way_that_leads_to_a_browser_is_the_last_that_is_tried(tmp_path: Path) -> None:
    """One that fails, or installs nothing, is followed by the next; where there is a browser nothing is tried."""
    bundled, other = tmp_path / "chrome", tmp_path / "other"
    nothing, fails = [sys.executable, "-c", ""], [sys.executable, "-c", "raise SystemExit(1)"]

    assert str(bundled) == install_chromium(str(bundled), [[fails], [nothing], [writes(bundled)], [writes(other)]])
    assert str(bundled) == install_chromium(str(bundled), [[writes(other)]])
    assert not other.exists()


def test_a_machine_without_a_browser_is_told_what_failed(tmp_path: Path) -> None:
    """Each way with its command, and what to do."""
    with pytest.raises(SystemExit, match=r"`nowhere install` failed\); run: apt-get install chromium"):
        install_chromium(str(tmp_path / "chrome"), [[["nowhere", "install"]]])
