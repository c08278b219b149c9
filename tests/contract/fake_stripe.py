"""A sandbox process with its fake Stripe, asked through Stripe's own SDK, and receivers of its webhooks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
import stripe

from tests.contract.sandbox_process import DAY, TOKEN, SandboxProcess, waves, write_recording

KEY = f"sk_test_{TOKEN}"
BACK = "https://shop.example/back"


class Receiver:
    """One webhook endpoint. `answer`: the status it answers with."""

    def __init__(self) -> None:
        self.answer = 200
        self.got: list[tuple[bytes, str]] = []  # (body, signature), as they came
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the sender was killed
                    return
                receiver.got.append((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def about(self, text: str) -> list[tuple[bytes, str]]:
        """Those with this text. Webhooks of earlier tests may still come in between."""
        return [(body, signature) for body, signature in self.got if text.encode() in body]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Shop:
    """A firm that uses the fake. A test closes its client with `aclose`: it belongs to the loop of the test."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self._transport: stripe.HTTPXClient | None = None

    def client(self, key: str = KEY) -> stripe.StripeClient:
        self._transport = self._transport or stripe.HTTPXClient(timeout=30)
        return stripe.StripeClient(
            key,
            base_addresses={"api": f"{self.sandbox.url}/stripe"},
            http_client=self._transport,
            max_network_retries=0,
        )

    async def aclose(self) -> None:
        if self._transport is not None:
            await cast(Any, self._transport).close_async()
            self._transport = None

    async def session(
        self, reference: str = "chl_1", amount: int = 10_000, currency: str = "usd", **params: Any
    ) -> stripe.checkout.Session:
        """A checkout session for one item."""
        values = {
            "mode": "payment",
            "client_reference_id": reference,
            "success_url": f"{BACK}?session={{CHECKOUT_SESSION_ID}}",
            "cancel_url": BACK,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": currency,
                        "unit_amount": amount,
                        "product_data": {"name": "A challenge"},
                    },
                }
            ],
            "metadata": {"order": reference},
            "payment_intent_data": {"metadata": {"order": reference}, "transfer_group": reference},
            **params,
        }
        return await self.client().v1.checkout.sessions.create_async(cast(Any, values))

    def submit(self, page: str, **form: str) -> httpx.Response:
        """Press a button on a hosted page."""
        path = page.removeprefix(self.sandbox.url)
        assert httpx.get(self.sandbox.url + path, trust_env=False).status_code == 200
        return httpx.post(self.sandbox.url + path, data=form, trust_env=False)

    async def paid(self, reference: str = "chl_1", amount: int = 10_000, **params: Any) -> stripe.checkout.Session:
        """A session that a buyer paid by card, with its payment intent and charge."""
        made = await self.session(reference, amount, **params)
        assert self.submit(str(made.url), outcome="card").status_code == 303
        return await self.client().v1.checkout.sessions.retrieve_async(
            made.id, {"expand": ["payment_intent.latest_charge.balance_transaction"]}
        )

    async def payee(self, **params: Any) -> str:
        """The id of a connected account that takes transfers, with payouts by hand."""
        values = {
            "type": "express",
            "country": "US",
            "email": "payee@example.com",
            "capabilities": {"transfers": {"requested": True}},
            "settings": {"payouts": {"schedule": {"interval": "manual"}}},
            **params,
        }
        made = await self.client().v1.accounts.create_async(cast(Any, values))
        self.desk(f"accounts/{made.id}", stage="ready")
        return made.id

    def desk(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.sandbox.post(f"/stripe/desk/{path}", body).raise_for_status().json()
        return answer

    def faults(self, **faults: Any) -> None:
        self.sandbox.http.put("/stripe/desk/faults", json=faults).raise_for_status()

    def later(self, **wait: float) -> None:
        """Move market time on."""
        now = datetime.fromisoformat(self.sandbox.market()["market_time"])
        self.sandbox.advance(now + timedelta(**wait))


@contextmanager
def open_shop(folder: Path, **settings: Any) -> Iterator[Shop]:
    """A shop on a sandbox that replays a made-up minute of prices in lockstep."""
    write_recording(folder / "prices", "EURUSD", waves(1, 110_000, 30, 10, 5))
    sandbox = SandboxProcess(folder, market_dir=folder / "prices", symbols=("EURUSD",), date=DAY, **settings)
    sandbox.start()
    try:
        yield Shop(sandbox)
    finally:
        sandbox.stop()


def code_of(error: stripe.StripeError) -> Any:
    """The code in the answer: the SDK shows it only for some classes of errors."""
    body: Any = error.json_body
    return body["error"].get("code")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
