"""Mail through the API: a signed webhook, the mails of a ticket, files that are only saved, and who may see them."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP

import httpx
import pytest
from pydantic import SecretStr

from adapters.mail.door_webhook import WebhookDoor, WebhookSettings
from api.json_api import create_json_api
from store.models import Trader
from tests.api_world import ApiWorld, api_world

US, OURS = "help@firm.example", "mx.firm.example"
SECRET = "a secret of many characters"
PNG = b"\x89PNG\r\n\x1a\n" + b"1" * 300_000


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


def a_mail(sender: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = sender, US, "Proof", "<p@example.com>"
    mail["Authentication-Results"] = f"{OURS}; dmarc=pass header.from={sender.rpartition('@')[2]}"
    mail.set_content("See the picture.")
    mail.add_attachment(PNG, maintype="image", subtype="png", filename='a"b\u20ac.png')
    return mail.as_bytes()


def signed(body: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"m.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "m",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def test_a_mail_by_webhook_and_its_file(world: ApiWorld) -> None:
    tina = world.people["tina"]
    async with world.db.transaction() as session:
        address = (await session.get_one(Trader, tina.trader_id)).email
    door = WebhookDoor("hook", WebhookSettings(secret=SecretStr(SECRET), authserv=OURS))
    app = create_json_api(replace(world.deps, mail_doors={"hook": door}, mail_address=US))
    body = a_mail(address)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.example") as http:
        assert (await http.post("/webhooks/mail/other", content=body, headers=signed(body))).status_code == 404
        assert (await http.post("/webhooks/mail/hook", content=body)).json()["type"] == "bad-signature"
        broken = b"X: y\r\n" * 5000
        assert (await http.post("/webhooks/mail/hook", content=broken, headers=signed(broken))).status_code == 422
        for _ in range(2):
            assert (await http.post("/webhooks/mail/hook", content=body, headers=signed(body))).status_code == 202
    [mail] = (await world.ask("support", "GET", "/v1/incoming-mails")).json()["items"]
    assert (mail["state"], mail["sender"], mail["trusted"]) == ("ticket", address, True)
    path = f"/v1/tickets/{mail['ticket_id']}/mails"
    [shown] = (await world.ask("tina", "GET", path)).json()
    [file] = shown["files"]
    assert (await world.ask("eve", "GET", path)).status_code == 404
    assert (await world.ask("eve", "GET", f"/v1/mail-attachments/{file['id']}")).status_code == 404
    answer = await world.ask("tina", "GET", f"/v1/mail-attachments/{file['id']}")
    assert answer.content == PNG and hashlib.sha256(PNG).hexdigest() == file["sha256"]
    assert answer.headers["content-disposition"] == 'attachment; filename="a_b_.png"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    sent = (await world.ask("support", "GET", "/v1/mails")).json()["items"]
    assert [(each["kind"], each["recipient"], each["state"]) for each in sent] == [
        ("acknowledgement", address, "waiting")
    ]
    assert (await world.ask("support", "GET", "/v1/mail-addresses")).json() == []
    unknown = await world.ask("support", "POST", "/v1/mail-addresses/clear", {"address": "ada@example.com"})
    assert unknown.status_code == 404
