"""What Stripe's verification sessions mean here."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.stripe.client import EventSettings
from adapters.stripe.identity import StripeIdentity
from domain.errors import NotFound, Unavailable
from tests import stripe_objects as make
from tests.stripe_server import KEY, SECRET, StripeServer, page, serving


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


@pytest.fixture
async def checker(server: StripeServer) -> AsyncIterator[StripeIdentity]:
    settings = {"key": KEY, "url": server.url, "webhook_secrets": SECRET}
    adapter = StripeIdentity("stripe", EventSettings.model_validate(settings))
    yield adapter
    await adapter.aclose()


@pytest.mark.parametrize(
    ("fields", "status", "why", "full_name"),
    [
        ({}, "pending", "", ""),
        ({"status": "processing"}, "pending", "", ""),
        ({"last_error": {"code": "document_expired", "reason": "of Jane"}}, "failed", "document_expired", ""),
        (
            {"status": "verified", "url": None, "verified_outputs": {"first_name": "Jane", "last_name": "Doe"}},
            "verified",
            "",
            "Jane Doe",
        ),
        ({"status": "canceled", "url": None}, "cancelled", "", ""),
    ],
)
async def test_the_status_of_a_check(
    server: StripeServer, checker: StripeIdentity, fields: dict[str, Any], status: str, why: str, full_name: str
) -> None:
    server.answers = {"GET /v1/identity/verification_sessions/*": make.verification(**fields)}
    found = await checker.fetch("vs_1")
    assert (found.status, found.why, found.full_name, found.reference) == (status, why, full_name, "t1")
    assert bool(found.url) == (status == "pending")


async def test_a_check_is_found_by_its_key(server: StripeServer, checker: StripeIdentity) -> None:
    server.answers = {
        "GET /v1/identity/verification_sessions": page(make.verification()),
        "GET /v1/identity/verification_sessions/*": make.verification(),
    }
    found = await checker.find("kyc-t1")
    assert found is not None
    assert found.key == "kyc-t1"
    assert server.calls[0].given["client_reference_id"] == "kyc-t1"
    assert await checker.find("kyc-t2") is None


async def test_a_check_that_was_not_started_here_is_not_found(server: StripeServer, checker: StripeIdentity) -> None:
    server.answers = {"GET /v1/identity/verification_sessions/*": make.verification(metadata={})}
    with pytest.raises(NotFound):
        await checker.fetch("vs_1")
    with pytest.raises(NotFound):
        await checker.fetch("vs_1/cancel")
    server.answers = {"GET /v1/identity/verification_sessions/*": make.verification(status="dreaming")}
    with pytest.raises(Unavailable):
        await checker.fetch("vs_1")
