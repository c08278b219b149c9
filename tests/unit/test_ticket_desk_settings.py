"""Which desk people work at: chosen by one setting, configured by variables of its own, refused in one clear line."""

import os

import pytest

from cli.ticket_desk import build_ticket_desk, desk_notes, healthy
from domain.errors import BadInput
from settings import load

DESK = "PROPOS_TICKET_DESKS__ZAMMAD__"
GIVEN = {
    f"{DESK}URL": "https://desk.example.com",
    f"{DESK}TOKEN": "s3cret-of-the-desk",
    f"{DESK}WEBHOOK_SECRET": "s3cret-of-the-webhook",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("PROPOS_")]:
        monkeypatch.delenv(variable)


async def test_without_a_setting_people_work_here() -> None:
    assert build_ticket_desk(load()) is None
    assert await healthy(load()) == "people work here"
    assert desk_notes(load()).with_answers is False


async def test_zammad_is_built_from_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**GIVEN, "PROPOS_TICKETS": "zammad", "PROPOS_TICKETS_NOTE": "answers"}.items():
        monkeypatch.setenv(name, value)
    desk = build_ticket_desk(load())
    assert desk is not None
    assert desk.name == "zammad"
    assert desk_notes(load()).with_answers is True
    await desk.aclose()
    assert load().environment()[f"{DESK}TOKEN"] == "s3cret-of-the-desk"  # a child process gets it too


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PROPOS_TICKETS": "otrs"}, "PROPOS_TICKETS"),
        ({f"{DESK}URL": "desk.example.com"}, f"{DESK}URL"),
        ({f"{DESK}WEBHOOK_SECRET": "short"}, f"{DESK}WEBHOOK_SECRET"),
        ({f"{DESK}COLOUR": "red"}, f"{DESK}COLOUR"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_repeated(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    for name, value in {**GIVEN, "PROPOS_TICKETS": "zammad", **changes}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput) as refused:
        build_ticket_desk(load())
    assert refused.value.field == said
    assert refused.value.remedy
    assert "s3cret" not in refused.value.message
