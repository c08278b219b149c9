"""Every setting is documented, and nothing else is."""

import re

from settings import Settings, environment_name
from tests.architecture.source import ROOT

DOCUMENT = ROOT / "docs" / "settings.md"


def test_the_document_lists_every_setting_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([A-Z_<>]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == {environment_name(field) for field in Settings.model_fields}


def test_the_document_gives_the_true_defaults() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_<>]+)` \| (.*?) \|", DOCUMENT.read_text(), re.MULTILINE))
    wrong = []
    for field, info in Settings.model_fields.items():
        name, default = environment_name(field), info.default
        if default is not None and info.default_factory is None and rows[name] != f"`{default}`":
            wrong.append(f"{name}: documented {rows[name]}, is {default}")
    assert wrong == []
