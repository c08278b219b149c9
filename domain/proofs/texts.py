"""The JSON text of a proof sheet, as it is hashed and stored."""

import json
from typing import Any, Final

json_text: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class SealedSheet(dict[str, Any]):
    """A sheet as JSON data with its hash. `text`: the same as JSON, to store it without writing it once more."""

    __slots__ = ("text",)

    def __init__(self, body: dict[str, Any], text: str) -> None:
        super().__init__(body)
        self.text = text


def text_of(sheet: dict[str, Any]) -> str:
    """Returns a sheet as JSON text."""
    return sheet.text if isinstance(sheet, SealedSheet) else json_text(sheet)
