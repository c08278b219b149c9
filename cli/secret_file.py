"""The secrets that `propos up` makes for a data folder: DATA/secrets.json, readable by its owner alone."""

import base64
import json
import os
import secrets as random_secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from settings import is_in_environment

_KEY_BYTES: Final = 32


def ensure_secrets(data_dir: Path) -> None:
    """Creates `DATA/secrets.json` (mode 600) with new secrets, and adds those that a file of an earlier version lacks.
    Never changes one that is there."""
    path = data_dir / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    made = {
        "sandbox_token": random_secrets.token_urlsafe(32),
        "webhook_secret": random_secrets.token_urlsafe(32),
        "sandbox_stripe_secrets": ",".join(f"whsec_{random_secrets.token_urlsafe(32)}" for _ in range(3)),
        "payload_keys": f"k1:{new_key()}",
    }
    if not known:  # an earlier folder has digests under the key that its payload keys make
        made["digest_key"] = new_key()
    if made.keys() <= known.keys():
        return
    _write_private(path, made | known)


def new_key() -> str:
    """Returns a new random key of 32 bytes as base64."""
    return base64.b64encode(random_secrets.token_bytes(_KEY_BYTES)).decode()


def change_secrets(data_dir: Path, values: Mapping[str, str]) -> bool:
    """Changes values of `DATA/secrets.json`. Returns False, and changes nothing, when the folder has none, or when a
    variable of the environment is used instead of one of them."""
    path = data_dir / "secrets.json"
    if not path.is_file() or any(is_in_environment(name) for name in values):
        return False
    _write_private(path, json.loads(path.read_text()) | dict(values))
    return True


def _write_private(path: Path, values: Mapping[str, str]) -> None:
    """Replaces the file; after a crash it has the old or the new values."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(values), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
