"""The evidence of a dispute as one file: a zip with a manifest, which anybody checks without a database.

The manifest has the SHA-256 of every file, and the pack's digest is the SHA-256 of the manifest. Every decision of the
dispute keeps a digest that covers it. The same files always make the same bytes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.proofs.check import check as check_sheet

MANIFEST: Final = "manifest.json"
FIELD: Final = "pack_digest"  # of a dispute's evidence
_MOST_BYTES: Final = 200_000_000  # of all files together, unpacked
_BEGAN: Final = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip has: the bytes must not depend on the clock


@dataclass(frozen=True, slots=True)
class Checked:
    """What a pack says and what is wrong with it. `problems`: empty when it is whole and consistent."""

    digest: str
    dispute_id: str
    files: tuple[str, ...]
    problems: tuple[str, ...]


def manifest(files: Mapping[str, str]) -> str:
    """Returns the manifest of these files (name -> text), as text."""
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return json.dumps({"v": 1, "sha256": hashes}, sort_keys=True, indent=1)


def digest(files: Mapping[str, str]) -> str:
    """Returns the digest of the pack: the SHA-256 of its manifest."""
    return hashlib.sha256(manifest(files).encode()).hexdigest()


def packed(files: Mapping[str, str]) -> bytes:
    """Returns the zip. The same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted({**files, MANIFEST: manifest(files)}.items()):
            archive.writestr(zipfile.ZipInfo(name, _BEGAN), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def check(data: bytes, expected: str = "") -> Checked:
    """Checks a pack from itself alone. `expected`: the digest that the dispute names; empty for any.

    Every file must have the hash of the manifest, no file may be missing or added, the proof sheet must follow from its
    own inputs, and the breach must be the one of the sheet. Never raises for bad content.
    """
    try:
        found = _read(data)
        listed: dict[str, str] = json.loads(found[MANIFEST])["sha256"]
        hashed = hashlib.sha256(found[MANIFEST]).hexdigest()
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError, RuntimeError, EOFError) as exc:
        return Checked("", "", (), (f"This is no evidence pack: {exc or type(exc).__name__}.",))
    problems = [] if expected in ("", hashed) else [f"The digest of the manifest is {hashed}, and not {expected}."]
    for name in sorted({*listed, *found} - {MANIFEST}):
        if name not in found:
            problems.append(f"{name} is missing.")
        elif name not in listed:
            problems.append(f"{name} is not in the manifest.")
        elif hashlib.sha256(found[name]).hexdigest() != listed[name]:
            problems.append(f"{name} was changed: its hash differs from the manifest.")
    parts: dict[str, Any] = {}
    for name, text in found.items():
        try:
            parts[name] = json.loads(text)
        except (ValueError, RecursionError):
            problems.append(f"{name} is not JSON.")
    problems += _contradictions(parts)
    dispute = parts.get("dispute.json")
    dispute_id = str(dispute.get("id", "")) if isinstance(dispute, dict) else ""
    return Checked(hashed, dispute_id, tuple(sorted(listed)), tuple(problems))


def _read(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _MOST_BYTES:
            raise ValueError("it is too large")
        if len({entry.filename for entry in entries}) != len(entries):
            raise ValueError("a name is in it twice")
        return {entry.filename: archive.read(entry) for entry in entries}


def _contradictions(parts: Mapping[str, Any]) -> list[str]:
    """Returns what the contents say against each other."""
    dispute, breach, sheet = (parts.get(name) for name in ("dispute.json", "breach.json", "proof.json"))
    if not isinstance(dispute, dict):
        return ["dispute.json says nothing."]
    if dispute.get("breach_id") is None:
        return []
    if not isinstance(breach, dict) or not isinstance(sheet, dict):
        return ["The breach or its proof sheet is missing."]
    problems = [
        f"proof.json, {each.field}: it says {each.stated}, and {each.recomputed} follows from it."
        for each in check_sheet(sheet)
    ]
    same = (
        ("the proof sheet", breach.get("proof_id"), sheet.get("proof_id")),
        ("the breach", dispute.get("breach_id"), breach.get("id")),
        ("the equity", breach.get("equity_minor"), sheet.get("equity_minor", breach.get("equity_minor"))),
        ("the offence", breach.get("offence"), sheet.get("offence")),
    )
    return problems + [
        f"Two files differ about {what}: {one} and {other}." for what, one, other in same if one != other
    ]
