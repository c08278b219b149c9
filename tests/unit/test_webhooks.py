"""Webhooks to others: signatures, times, addresses that may be called, and the catalogue of events."""

import asyncio
import base64
import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

import httpcore
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.webhooks.courier import HttpCourier
from cli.reports.event_catalogue import BEGIN, END, catalogue
from domain import webhooks
from domain.business_events import BY_NAME, KINDS, SOURCES
from domain.chargebacks import CHARGEBACK
from domain.disputes import DISPUTE
from domain.errors import BadInput
from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.surveillance.casework import CASE
from domain.tickets import TICKET
from ports.webhooks import WebhookRules
from tests.architecture.source import PACKAGES, ROOT, files
from tests.webhook_receiver import receiving

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MACHINES = {machine.noun: machine for machine in (CHALLENGE, PAYOUT, CHARGEBACK, DISPUTE, CASE, TICKET)}


def test_the_vector_of_the_specification() -> None:
    made = webhooks.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_of_the_receivers_reads_every_signature_while_a_secret_rotates() -> None:
    new, old = webhooks.new_secret(), webhooks.new_secret()
    assert len(base64.b64decode(new.removeprefix("whsec_"))) == 32
    body = b'{"type":"payout.sent"}'
    headers = webhooks.headers([new, old], webhook_id="evt_1", timestamp=int(datetime.now(UTC).timestamp()), body=body)
    assert [Webhook(secret).verify(body, headers) for secret in (new, old)] == [json.loads(body)] * 2
    with pytest.raises(WebhookVerificationError):
        Webhook(webhooks.new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b" ", headers)


def test_tries_are_spread_over_three_days_and_end() -> None:
    pauses = [webhooks.pause(tries, retry_after=None, chance=0.0) for tries in range(1, 11)]
    assert pauses == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]
    assert webhooks.pause(2, retry_after=None, chance=1.0) == pytest.approx(330)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Mon, 02 Mar 2026 09:31:00 GMT", 60.0),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    assert webhooks.retry_after(text, NOW) == seconds


def test_the_receiver_may_ask_for_more_time_and_not_for_less() -> None:
    assert webhooks.pause(1, retry_after=60.0, chance=0.0) == 60
    assert webhooks.pause(2, retry_after=60.0, chance=0.0) == 300
    assert webhooks.pause(1, retry_after=1e9, chance=0.0) == 86400


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "192.0.0.8"),
        *("fe80::1", "fc00::1", "fd12::1", "::", "ff02::1", "2001:db8::1", "fec0::1"),
        *(
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:0:a00:1::1",
            "::10.0.0.1",
        ),
        *("127.0.0.1", "::1", "::ffff:127.0.0.1"),
    ],
)
def test_addresses_that_are_not_public_are_never_called(address: str) -> None:
    assert not webhooks.may_call(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_called(address: str) -> None:
    assert webhooks.may_call(ipaddress.ip_address(address))


def test_this_machine_is_called_only_when_the_setting_says_so() -> None:
    assert webhooks.may_call(ipaddress.ip_address("127.0.0.1"), loopback=True)
    assert not webhooks.may_call(ipaddress.ip_address("10.0.0.1"), loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.com/", "ftp://hooks.example.com/", "https://", "https://u:p@hooks.example.com/"),
        *("https://10.0.0.1/", "https://[::1]/", "https://127.0.0.1/", "https://hooks.example.com/#part"),
        *(
            "https://hooks.example.com:99999/",
            "https://hööks.example.com/",
            "https://a b/",
            "https://[::ffff:10.0.0.1]/",
        ),
    ],
)
def test_addresses_of_endpoints_that_are_refused(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        webhooks.check_url(url)
    assert refused.value.field == "url"


def test_only_the_hosts_that_the_firm_allows() -> None:
    webhooks.check_url("https://Hooks.example.com/x", allowed_hosts=("hooks.example.com",))
    with pytest.raises(BadInput):
        webhooks.check_url("https://elsewhere.example.com/x", allowed_hosts=("hooks.example.com",))
    webhooks.check_url("http://localhost:9/x", loopback=True)
    with pytest.raises(BadInput):
        webhooks.check_url("http://hooks.example.com/x", loopback=True)


async def test_a_name_that_leads_to_this_machine_is_not_called() -> None:
    answer = await HttpCourier(WebhookRules()).post("https://localhost:1/", {}, b"{}")
    assert (answer.status, answer.problem) == (None, "the host leads to an address that is not on the public internet")


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public address when it is checked and to this machine a moment later."""
    asked, called = list[str](), list[str]()

    async def rebinding(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(asked) == 1 else "127.0.0.1", 443))]

    async def connect(_: Any, host: str, port: int, **__: Any) -> Any:
        called.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding, raising=False)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    answer = await HttpCourier(WebhookRules()).post("https://rebinding.example.com/", {}, b"{}")
    assert (asked, called) == (["rebinding.example.com"], ["93.184.216.34"])
    assert (answer.status, answer.problem) == (None, "the connection was refused")


async def test_a_redirect_is_an_answer_and_a_slow_receiver_is_none() -> None:
    async with receiving() as receiver:
        courier = HttpCourier(WebhookRules(loopback=True), seconds=0.5)
        receiver.says(302, {"location": receiver.url})
        answer = await courier.post(receiver.url, {}, b"{}")
        assert (answer.status, answer.problem, len(receiver.got)) == (302, "a redirect is not followed", 1)
        receiver.says(200, seconds=30.0)
        answer = await courier.post(receiver.url, {}, b"{}")
        assert (answer.status, answer.problem) == (None, "no answer within 0.5 seconds")


def test_every_action_of_the_catalogue_is_one_that_the_firm_records() -> None:
    """A step of a machine, or a text in the code that writes the audit log."""
    text = "\n".join(path.read_text() for path in files(*PACKAGES) if "business_events" not in path.name)
    missing = []
    for action in SOURCES:
        noun, _, trigger = action.partition(".")
        steps = {step for _, step in MACHINES[noun].table} if noun in MACHINES else set()
        if trigger not in steps and f'"{action}"' not in text and action not in _IDENTITY:
            missing.append(action)
    assert missing == []


_IDENTITY = ("trader.identity_verified", "trader.identity_refused")  # written as trader.identity_{identity}


def test_no_action_is_two_events() -> None:
    named = [action for kind in KINDS for action in kind.actions]
    assert len(named) == len(set(named)) == len(SOURCES)
    assert len(BY_NAME) == len(KINDS)
    assert [kind.name for kind in KINDS if bool(kind.actions) == bool(kind.table)] == []


def test_the_page_lists_every_event_as_the_code_has_it() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    assert page[page.index(BEGIN) : page.index(END) + len(END)] == catalogue()
