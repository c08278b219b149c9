"""What a file in a mail is, told from its bytes, and which files are taken."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_FILES: Final = 10
LARGEST_FILE: Final = 10 * 1024 * 1024
LARGEST_SUM: Final = 20 * 1024 * 1024
_NAME: Final = re.compile(r"[^\w. ()\-]+")
_MARKS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_ENDINGS: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "text/plain": "txt",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """`media_type` is told from the bytes. `sha256`: of the content, in hex."""

    name: str
    media_type: str
    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was not taken, and why."""

    name: str
    why: str


def media_type(content: bytes) -> str | None:
    """Returns the type of a file that is taken: PNG, JPEG, GIF, WebP, PDF or plain text; None for any other, such as an
    archive, a program, SVG or HTML."""
    for mark, found in _MARKS:
        if content.startswith(mark):
            return found
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "text/plain" if _is_plain(content) else None


def _is_plain(content: bytes) -> bool:
    if b"\x00" in content:
        return False
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    start = text[:2000].lstrip("\ufeff \t\r\n").lower()
    markup = start.startswith("<") or any(mark in start for mark in ("<html", "<svg", "<script", "<!doctype", "<?xml"))
    return not markup and not start.startswith(("#!", "{\\rtf")) and not re.search(r"[\x01-\x08\x0e-\x1f]", text)


def safe_name(name: str, kind: str) -> str:
    """Returns a file name without folders and odd characters, with the ending of its type."""
    plain = _NAME.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" ._")[:80] or "file"
    ending = _ENDINGS[kind]
    return plain if plain.lower().endswith((f".{ending}", ".jpeg", ".csv", ".log")) else f"{plain}.{ending}"


def taken(files: Iterable[tuple[str, bytes]]) -> tuple[tuple[Attachment, ...], tuple[LeftOut, ...]]:
    """Returns the files that are taken, and those that are not. `files`: (name, content)."""
    good: list[Attachment] = []
    bad: list[LeftOut] = []
    total = 0
    for name, content in files:
        kind = media_type(content)
        shown = _NAME.sub("_", name)[:80] or "file"
        if kind is None:
            bad.append(LeftOut(shown, "This type of file is not taken."))
        elif len(content) > LARGEST_FILE or total + len(content) > LARGEST_SUM:
            bad.append(LeftOut(shown, "The file is too large."))
        elif len(good) >= MOST_FILES:
            bad.append(LeftOut(shown, f"More than {MOST_FILES} files are not taken."))
        else:
            total += len(content)
            good.append(Attachment(safe_name(name, kind), kind, content, hashlib.sha256(content).hexdigest()))
    return tuple(good), tuple(bad[:50])
