"""What programs rely on does not go unnoticed."""

from copy import deepcopy
from typing import Any

import pytest

from cli.reports.api_surface import CHANGES, SURFACE, breaking, surface, unwritten
from tests.api_description import document, operations


def test_a_breaking_change_is_in_the_change_log() -> None:
    changes = breaking(SURFACE.read_text().splitlines(), surface(document()))
    assert unwritten(changes, CHANGES.read_text()) == [], "write each into docs/api-changes.md, then keep the surface"


def _without_operation(described: dict[str, Any]) -> None:
    del described["paths"]["/v1/deals"]["get"]


def _without_field(described: dict[str, Any]) -> None:
    del described["components"]["schemas"]["AccountRow"]["properties"]["status"]


def _other_type(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["AccountRow"]["properties"]["number"] = {"type": "integer"}


def _needed_field(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["PayoutBody"]["required"].append("beneficiary")


def _needed_parameter(described: dict[str, Any]) -> None:
    [account] = [each for each in described["paths"]["/v1/deals"]["get"]["parameters"] if each["name"] == "account"]
    account["required"] = True


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_without_operation, "- operation GET /v1/deals list_all_deals"),
        (_without_field, "- field AccountRow.status string"),
        (_other_type, "- field AccountRow.number string"),
        (_needed_field, "+ needs PayoutBody.beneficiary"),
        (_needed_parameter, "+ needs GET /v1/deals account"),
    ],
)
def test_what_breaks_programs_is_noticed_until_it_is_written_down(change: Any, line: str) -> None:
    before, changed = surface(document()), deepcopy(document())
    change(changed)
    found = breaking(before, surface(changed))
    assert line in found
    assert line in unwritten(found, "nothing")
    assert line not in unwritten(found, f"Gone: `{line}`.")


def test_what_is_added_breaks_nothing() -> None:
    more = deepcopy(document())
    more["components"]["schemas"]["AccountRow"]["properties"]["colour"] = {"type": "string"}
    more["paths"]["/v1/new"] = {"post": more["paths"]["/v1/tickets"]["post"]}
    more["components"]["schemas"]["New"] = more["components"]["schemas"]["PayoutBody"]
    assert breaking(surface(document()), surface(more)) == []


def test_a_deprecated_operation_says_so_in_the_change_log() -> None:
    gone = [path for _, path, operation in operations() if operation.get("deprecated")]
    assert gone and all(path in CHANGES.read_text() for path in gone)
