"""`propos platform check`: the toy venue and the sandbox pass, and a broken adapter fails the check of its fault."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.adapters import build_for_gateway
from cli.platforms.admin import ADMIN
from cli.platforms.check import Report, check_platform
from cli.platforms.parts import PARTS
from cli.platforms.world import Terms
from domain.errors import BadInput
from ports.platform import AccountSnapshot
from ports.venue import Cursor, Fact, Message, VenueTime
from settings import load
from tests import toy_server as toy_module
from tests.command_line import propos
from tests.contract.sandbox_process import TOKEN
from tests.contract.sandbox_thread import sandbox_thread
from tests.toy_server import PASSWORD, ToyServer, toy_server

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
TERMS = Terms(patience=30)
# checks of calls that the toy venue does not have
CANNOT = dict.fromkeys(("cancel-orders", "close-only", "kill-switch", "credentials", "limits", "accounts"), "skipped")


@pytest.fixture(autouse=True)
def firm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(THIRD_PARTY))


@pytest.fixture
async def toy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ToyServer]:
    async with toy_server() as running:
        given = {
            "ADAPTER": "toy-venue",
            "SERVER": "127.0.0.1",
            "PORT": str(running.port),
            "PASSWORD": PASSWORD,
            "GATEWAY": "http://127.0.0.1:9",
            "GATEWAY_TOKEN": "unused",
            "GATEWAY_RECONCILE_SECONDS": "1",
        }
        for field, value in given.items():
            monkeypatch.setenv(f"PROPOS_PLATFORMS__TOY__{field}", value)
        yield running


async def _check(toy: ToyServer, terms: Terms = TERMS) -> Report:
    async def trade(login: int) -> None:
        toy.quote("1.10", "1.11")
        toy.buy(login)

    return await check_platform(load(), "toy", terms, trade)


async def test_the_toy_venue_passes_every_check(toy: ToyServer) -> None:
    report = await _check(toy)
    assert {each.check: each.outcome for each in report.results if each.outcome != "pass"} == CANNOT
    assert len(report.results) > 25


Break = Callable[[pytest.MonkeyPatch, ToyServer, Any], None]


def _forgets_keys(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setattr(toy, "keys", Forgetful())


def _keeps_positions(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setattr(toy, "sell", lambda *_: None)


def _never_catches_up(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setitem(adapter._FACTS, "live", lambda line: VenueTime(adapter._at(line)))


def _leaves_out(kind: str) -> Break:
    """Also when it is asked: else the gateway heals it."""

    def leave_out(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
        patch.setitem(adapter._FACTS, kind, lambda line: VenueTime(adapter._at(line)))

    return leave_out


def _says_nothing_of_permissions(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    _leaves_out("access")(patch, toy, adapter)
    real = adapter._FACTS["snapshot"]
    patch.setitem(adapter._FACTS, "snapshot", lambda line: real(line | {"trading_enabled": False}))


def _no_snapshots(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setattr(toy, "_snapshots", lambda writer, logins: None)


def _new_ids(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    real = adapter._FACTS["money"]
    patch.setitem(adapter._FACTS, "money", lambda line: replace(real(line), operation_id=uuid4().hex))


def _other_ids_in_another_process(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    """Ids count the connections, and no cursor is kept: a restart tells everything again under other ids."""
    real = adapter._FACTS["money"]
    patch.setitem(adapter._FACTS, "money", lambda line: replace(real(line), operation_id=f"{toy.streams}/{line['id']}"))
    patch.setattr(adapter, "Cursor", lambda name, value: Cursor(name, "0"))


def _counts_messages(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    real, numbers = adapter._FACTS["quote"], count()
    patch.setitem(adapter._FACTS, "quote", lambda line: replace(real(line), bid=Decimal(next(numbers))))


def _raises_key_errors(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    class Careless(adapter.ToyFeed):  # type: ignore[misc]
        def facts(self, message: Message) -> list[Fact]:
            return [adapter._FACTS[json.loads(message.body)["is"]](json.loads(message.body))]

    patch.setattr(adapter, "PLUGIN", replace(adapter.PLUGIN, feed=Careless))


def _takes_any_type(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setattr(adapter, "checked", lambda fact: fact)


def _open_password(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    class Open(adapter.ToyVenueSettings):  # type: ignore[misc]
        password: str

    patch.setattr(adapter, "PLUGIN", replace(adapter.PLUGIN, settings=Open))


def _no_contract_size(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    patch.setitem(toy_module.EURUSD, "contract_size", "0")


def _finds_everything(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    async def snapshot(self: Any, login: int) -> AccountSnapshot:
        return AccountSnapshot.model_validate(_EMPTY | {"login": login})

    patch.setattr(adapter.ToyVenue, "snapshot", snapshot)


def _goes_on_when_cancelled(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    real = adapter._line

    async def line(reader: Any) -> bytes:
        while True:
            try:
                return bytes(await real(reader))
            except asyncio.CancelledError:
                if stubborn:
                    stubborn.pop()
                    continue
                raise

    stubborn = [1]
    patch.setattr(adapter, "_line", line)


def _asked_for_nothing(patch: pytest.MonkeyPatch, toy: ToyServer, adapter: Any) -> None:
    real = toy._deals
    patch.setattr(toy, "_deals", lambda writer, login: None if toy.streams > 1 else real(writer, login))


_EMPTY = {
    "currency": "USD", "balance_minor": 0, "equity_minor": 0, "trading_enabled": False, "positions": (), "seq": 0,
}  # fmt: skip


class Forgetful(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        return None

    def setdefault(self, key: str, default: Any = None) -> Any:
        return default


FAULTS: dict[str, tuple[str, Break]] = {
    "a venue that forgets keys opens a second account": ("account", _forgets_keys),
    "a venue that forgets keys pays in twice": ("money", _forgets_keys),
    "a venue that forgets keys locks again": ("lock", _forgets_keys),
    "positions stay open after a close": ("close-positions", _keeps_positions),
    "positions stay open after a lock": ("lock", _keeps_positions),
    "every login exists": ("unknown-account", _finds_everything),
    "the password is a text": ("settings", _open_password),
    "a symbol has no contract size": ("symbols", _no_contract_size),
    "the feed never says that it has caught up": ("connect", _never_catches_up),
    "the feed sends no snapshots": ("first-snapshot", _no_snapshots),
    "the feed leaves out money": ("feed-money", _leaves_out("money")),
    "the feed leaves out permissions": ("feed-access", _says_nothing_of_permissions),
    "the feed leaves out fills": ("feed-fills", _leaves_out("deal")),
    "what happened before a restart is told again": ("reconnect", _other_ids_in_another_process),
    "the feed goes on when it is cancelled": ("reconnect", _goes_on_when_cancelled),
    "deals are not told when they are asked for": ("asked", _asked_for_nothing),
    "ids are random": ("deterministic", _new_ids),
    "a decoder counts": ("deterministic", _counts_messages),
    "ids change with every message": ("duplicated", _new_ids),
    "a decoder raises what it meets": ("mutated", _raises_key_errors),
    "a decoder takes any type": ("mutated", _takes_any_type),
}


# these checks ask the venue alone, or wait for what never comes: they fail however short the patience is
_IN_VAIN = (
    "unknown-account", "close-positions", "lock",
    "connect", "first-snapshot", "feed-money", "feed-access", "feed-fills",
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_fails_its_check(fault: str, toy: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    check, broken = FAULTS[fault]
    broken(monkeypatch, toy, import_module("toy_venue"))
    report = await _check(toy, Terms(patience=1 if check in _IN_VAIN else 5))
    results = {each.check: each for each in report.results}
    assert results[check].outcome == "fail", results[check]
    assert results[check].remedy
    assert not report.ok


async def test_the_sandbox_passes_and_has_no_feed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with sandbox_thread(tmp_path / "sandbox") as sandbox:
        for field, value in {"ADAPTER": "sandbox", "URL": sandbox.url, "TOKEN": TOKEN}.items():
            monkeypatch.setenv(f"PROPOS_PLATFORMS__VENUE__{field}", value)
        report = await check_platform(load(), "venue", TERMS)
    assert report.of("fail") == []
    parts = {each.name for each in (*ADMIN, *PARTS)} - {"cancel-orders"}
    assert {each.check for each in report.of("pass")} == parts | {"accounts"}
    assert {each.sentence for each in report.of("skipped")} == {
        "This platform is read without a gateway: it has no feed.",
        "This venue cannot cancel pending orders.",
        "This venue cannot enforce the loss limits of an account by itself.",
    }


async def _propos(*words: str) -> tuple[int, Any]:
    """Returns exit code and JSON of a command."""
    environment = os.environ | {"PYTHONPATH": str(THIRD_PARTY)}
    done = await asyncio.to_thread(propos, "platform", *words, "--json", env=environment)
    return done.returncode, json.loads(done.stdout)


async def test_the_command_says_what_failed_and_what_was_skipped(toy: ToyServer) -> None:
    code, said = await _propos("check", "toy", "--patience", "60")
    outcomes = {each["check"]: each["outcome"] for each in said["results"]}
    assert code == 0 and said["ok"]
    assert {name for name, outcome in outcomes.items() if outcome != "pass"} == {"feed-fills", *CANNOT}
    toy.keys = Forgetful()
    code, said = await _propos("check", "toy", "--patience", "5")
    assert code == 1 and not said["ok"]
    assert said["counts"]["fail"] > 0


async def test_a_symbol_is_completed_by_the_map_and_known_under_its_name(
    toy: ToyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    venue = {"symbol": "EURUSD.m", "contract_size": "0", "quote_currency": ""}
    for field, value in venue.items():
        monkeypatch.setitem(toy_module.EURUSD, field, value)
    code, said = await _propos("symbols", "toy")
    assert code == 1
    assert said["symbols"][0]["missing"] == ["no contract size", "no quote currency"]
    file = tmp_path / "symbols.yaml"
    file.write_text("suffixes: [.m]\nsymbols:\n  EURUSD: {contract_size: 100000, quote_currency: USD}\n")
    monkeypatch.setenv("PROPOS_PLATFORMS__TOY__SYMBOLS_FILE", str(file))
    code, said = await _propos("symbols", "toy")
    assert code == 0
    assert said["symbols"] == [
        {
            "symbol": "EURUSD",
            "venue": ["EURUSD.m"],
            "contract_size": "100000",
            "quote_currency": "USD",
            "digits": 5,
            "missing": [],
        }
    ]
    _, feed, _ = build_for_gateway(load(), "toy")
    assert [each.symbol for each in await feed.symbols()] == ["EURUSD"]
    toy.symbol = "EURUSD.m"
    report = await _check(toy)
    assert {each.check: each.outcome for each in report.results if each.outcome != "pass"} == CANNOT


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("symbols: {A: {contract_size: -1}}", "symbols.A.contract_size"),
        ("suffix: [.m]", "suffix"),
        ("[1]", "symbols"),
        ("a: [", "symbols.yaml"),
    ],
)
async def test_a_wrong_symbol_map_is_refused_before_anything_is_read(
    text: str, field: str, toy: ToyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "symbols.yaml"
    file.write_text(text)
    monkeypatch.setenv("PROPOS_PLATFORMS__TOY__SYMBOLS_FILE", str(file))
    with pytest.raises(BadInput) as refused:
        build_for_gateway(load(), "toy")
    assert refused.value.field == field
    assert refused.value.message.startswith("symbols.yaml")
