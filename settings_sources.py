"""Where settings come from besides the environment: files of the data folder, and files of secrets; and how keys are
written there."""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from domain.errors import BadInput

DEFAULT_DATA = Path(".propos")
_SECRETS_DIR = Path("/run/secrets")
_KEY_BYTES = 32


class DataFolderSource(PydanticBaseSettingsSource):
    """Reads one JSON object of field values from a file in the data folder; no values if the file is missing."""

    def __init__(self, settings_cls: type[BaseSettings], name: str) -> None:
        super().__init__(settings_cls)
        self._name = name

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = self.current_state
        data_dir = Path(known.get("data_dir") or known.get("PROPOS_DATA") or DEFAULT_DATA)
        path = data_dir / self._name
        values = json.loads(path.read_text()) if path.is_file() else {}
        return {key: value for key, value in values.items() if key in self.settings_cls.model_fields}


def secret_files() -> dict[str, str]:
    """Returns variable -> value of each file in PROPOS_SECRETS_DIR that is named like a variable of ours. The space
    around a value is not part of it. Raises BadInput for a file that cannot be read."""
    named = os.environ.get("PROPOS_SECRETS_DIR")
    folder = Path(named) if named else _SECRETS_DIR
    if not folder.is_dir():
        if named:
            raise BadInput(
                f"{folder} is no folder.",
                field="PROPOS_SECRETS_DIR",
                remedy="Name a folder with a file for each secret, or unset the variable.",
            )
        return {}
    found = {}
    for path in folder.iterdir():
        if path.name != "DATABASE_URL" and not path.name.startswith("PROPOS_"):
            continue
        try:
            found[path.name] = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(
                f"{path} cannot be read ({type(error).__name__}).",
                field=path.name,
                remedy="Let the user of this process read the file, and write text into it.",
            ) from None
    return found


def keep_compiled(data_dir: Path) -> None:
    """Has numba keep the loops that it compiles in the data folder when it cannot keep them beside the code, as in an
    image or in a package that another user owns: the next start need not compile them again. A folder that the
    environment names stays. Call it before numba is imported."""
    if not os.access(Path(__file__).parent, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(data_dir.absolute() / "compiled"))


def replace_environment(values: Mapping[str, str]) -> None:
    """Gives this process, which was forked, the environment of its own."""
    os.environ.clear()
    os.environ.update(values)


def parse_key_ring(words: str) -> tuple[tuple[str, bytes], ...]:
    """Returns (key id, 32 bytes) of each key of id:base64[,id:base64]. Raises BadInput."""
    ring = []
    for part in words.split(","):
        key_id, _, encoded = part.strip().partition(":")
        key = _key(encoded)
        if not key_id or key is None:
            raise BadInput(
                "PROPOS_PAYLOAD_KEYS must read id:base64[,id:base64], each key 32 bytes.",
                field="PROPOS_PAYLOAD_KEYS",
                remedy="Create one with: python -c "
                "'import base64,os;print(\"k1:\"+base64.b64encode(os.urandom(32)).decode())'",
            )
        ring.append((key_id, key))
    return tuple(ring)


def parse_digest_key(words: str) -> bytes:
    """Raises BadInput."""
    key = _key(words)
    if key is None:
        raise BadInput(
            "PROPOS_DIGEST_KEY must be the base64 of 32 bytes.",
            field="PROPOS_DIGEST_KEY",
            remedy="Set the value that `propos keys add` printed.",
        )
    return key


def _key(encoded: str) -> bytes | None:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == _KEY_BYTES else None
