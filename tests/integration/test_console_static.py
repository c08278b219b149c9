"""The console's files: what is vendored is what its package ships, and templates hold no inline script or style."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import console
from console.assets import Assets
from domain.errors import NotFound

_CONSOLE = Path(console.__file__).parent
_VENDORED = [_CONSOLE / "static" / "vendor", Path(__file__).parents[1] / "e2e" / "vendor"]


@pytest.mark.parametrize("folder", _VENDORED, ids=["console", "tests"])
def test_every_vendored_file_has_its_hash_in_the_manifest(folder: Path) -> None:
    files = json.loads((folder / "MANIFEST.json").read_text())["files"]
    assert {entry["file"] for entry in files} == {path.name for path in folder.iterdir()} - {"MANIFEST.json"}
    for entry in files:
        assert hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert entry["name"] and entry["version"] and entry["licence"]


_NOT_SIGNED_IN = ('action="/sign-in', 'action="/rate/', 'action="{{ page }}"', 'action="/unsubscribe/')


@pytest.mark.parametrize("path", sorted((_CONSOLE / "templates").iterdir()), ids=lambda path: path.name)
def test_templates_hold_no_inline_script_style_or_unescaped_text(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|\|\s*safe\b", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "http://" not in text and "https://" not in text
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        # a proof carries the secret of the form that it interrupts; who is not signed in has none
        assert "ui.secret(viewer)" in form or "carried()" in form or any(action in form for action in _NOT_SIGNED_IN)


def test_addresses_change_with_the_content_and_old_ones_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("export const a = 1;")
    first = Assets(tmp_path)
    (tmp_path / "a.js").write_text("export const a = 2;")
    second = Assets(tmp_path)
    assert first.url("a.js") != second.url("a.js")
    kept = second.response(second.version, "a.js")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.headers["Content-Type"].startswith("text/javascript")
    assert second.response(first.version, "a.js").headers["Cache-Control"] == "no-cache"
    with pytest.raises(NotFound):
        second.response(second.version, "../secrets")
