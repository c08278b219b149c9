"""Static files, read once and served under an address with their digest, so that browsers may keep them for good."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from fastapi import Response

from domain.errors import NotFound

_ROOT: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml"}


class Assets:
    """All of `static/` in memory. `version` changes with any byte of it; relative imports stay within one version."""

    def __init__(self, root: Path = _ROOT) -> None:
        self._files = {
            path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
        }
        whole = hashlib.sha256()
        for name, content in self._files.items():
            whole.update(name.encode() + b"\x00" + hashlib.sha256(content).digest())
        self.version = whole.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Where browsers find `name`; a name that is not there is a programming error."""
        if name not in self._files:
            raise LookupError(f"no static file {name}")
        return f"/static/{self.version}/{name}"

    def response(self, version: str, name: str) -> Response:
        """The file. Under the digest of another release it is served too, but not for keeping."""
        content = self._files.get(name)
        if content is None:
            raise NotFound
        guessed = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        keep = "public, max-age=31536000, immutable" if version == self.version else "no-cache"
        return Response(content, media_type=guessed, headers={"Cache-Control": keep})


assets = Assets()
