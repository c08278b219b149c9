"""The fake Stripe: one state, its idempotency keys, and how a call runs under faults."""

import asyncio
import hmac
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sandbox.config import StripeEndpoint
from sandbox.journal import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError
from sandbox.stripe.faults import Faults
from sandbox.stripe.forms import Params, parse
from sandbox.stripe.idempotency import Answer, Keys, digest
from sandbox.stripe.lists import expand
from sandbox.stripe.objects import accounts, checkouts, disputes, events, identity, money, payments, payouts, refunds
from sandbox.stripe.operations import Operation, operation
from sandbox.stripe.state import State, check_account, shown

_ACTIONS: Final[Mapping[str, Callable[[State, str], None]]] = {
    "account.payout": payouts.pay_out_all,
    "charge.debit": payments.end_debit,
    "charge.dispute": disputes.dispute_charge,
    "dispute.due": disputes.fall_due,
    "dispute.judge": disputes.judge,
    "event.forget": events.forget,
    "identity.decide": identity.decide,
    "link.forget": accounts.forget_link,
    "money.available": money.make_available,
    "payout.arrive": payouts.arrive,
    "payout.leave": payouts.leave,
    "payout.return": payouts.return_later,
    "refund.end": refunds.end,
    "session.expire": checkouts.expire_by_time,
}


@dataclass(frozen=True)
class Request:
    """One HTTP request. `headers`: by lower-case name."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]


class FakeStripe:
    """`key`: the secret key that callers must use. Set `commit` before the first call: it journals `drain()`."""

    kinds: ClassVar[tuple[str, ...]] = ("stripe", "stripe_due", "stripe_hook", "stripe_key", "stripe_state")

    def __init__(self, base_url: str, key: str, endpoints: Iterable[StripeEndpoint]) -> None:
        self.state = State(base_url, endpoints)
        self.commit: Callable[[], None] = lambda: None
        self._key = key
        self._keys = Keys(self.state)
        self._faults_changed = asyncio.Event()
        self._requests = itertools.count(1)

    # as a neighbour of the market

    def start(self, now_us: int) -> None:
        self.state.now_us = now_us

    def news(self) -> int:
        return self.state.events_made

    def unheard(self) -> int:
        return len(self.state.undelivered)

    def advance(self, now_us: int) -> None:
        self.state.advance(now_us, self._act)

    def _act(self, action: str, id: str) -> None:
        if action == "key.forget":
            self._keys.forget(id)
        else:
            _ACTIONS[action](self.state, id)

    def drain(self) -> Iterable[Row]:
        return self.state.drain()

    def committed(self, *, at_rest: bool) -> None:
        """Webhooks have a task of their own."""

    def restore(self, rows: dict[str, list[tuple[str, Any]]], now_us: int) -> None:
        self.state.restore(rows, now_us)
        self._keys.restore(rows["stripe_key"])

    def set_faults(self, faults: Faults) -> None:
        self.state.faults = faults.counted_since(self.state.faults.uses)
        if faults.forget_keys:
            self._keys.forget_all()
        self._faults_changed.set()
        self._faults_changed = asyncio.Event()
        self.state.save_faults()
        self.commit()

    # calls

    async def answer(self, request: Request) -> tuple[Answer, dict[str, str]]:
        """Returns the answer to a call, and headers. An effect is in the journal before the answer is sent."""
        headers = {"Request-Id": f"req_{next(self._requests):08d}"}
        for name in ("Idempotency-Key", "Stripe-Account", "Stripe-Version"):
            if name.lower() in request.headers:
                headers[name] = request.headers[name.lower()]
        try:
            self._check_key(request.headers.get("authorization", ""))
            account = request.headers.get("stripe-account") or request.headers.get("stripe-context") or ""
            check_account(self.state, account)
            found, ids = operation(request.method, request.path)
            values = parse(request.query if request.method == "GET" else request.body)
            call = _Prepared(found, request.path, ids, values, account, headers["Request-Id"])
            if request.method == "GET":
                return self._run(call), headers
            answer, replayed = await self._change(call, request.headers.get("idempotency-key"))
            if replayed:
                headers["Idempotent-Replayed"] = "true"
            return answer, headers
        except ApiError as error:
            return Answer(error.status, error.body), headers

    def _check_key(self, authorization: str) -> None:
        scheme, _, given = authorization.partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(given.encode(), self._key.encode()):
            shown_key = f"{given[:8]}****{given[-4:]}" if len(given) > 16 else "****"
            message = f"Invalid API Key provided: {shown_key}"
            raise ApiError(message, status=401, kept=False)

    async def _change(self, call: "_Prepared", key: str | None) -> tuple[Answer, bool]:
        """Returns the answer to a changing call, and whether it is the repeated first answer."""
        await self._before(call.path)
        if key is None:
            return await self._effect(call, None, ""), False
        name, given = f"{call.account}/{key}", digest(call.path, call.values)
        with self._keys.under_way(name):
            known = self._keys.recall(name, given)
            if known is not None:
                return known, True
            held = False
            while self._concerns(call.path) and self.state.faults.hold:
                held = True
                await self._faults_changed.wait()
            if held:
                self.state.faults.count("late_effect")
                self.state.save_faults()
            return await self._effect(call, name, given), False

    async def _before(self, path: str) -> None:
        if self._use("too_many", path):
            raise ApiError("Too many requests hit the API too quickly.", status=429, code="rate_limit")
        if self._use("error_before", path):
            raise _unwell()
        if self._use("timeout_before", path):
            await asyncio.sleep(self.state.faults.hold_seconds)
            raise _timeout()

    async def _effect(self, call: "_Prepared", name: str | None, given: str) -> Answer:
        """Run a call once, keep its answer under its key, and journal both."""
        key = None if name is None else name.partition("/")[2]
        self.state.request = {"id": call.request_id, "idempotency_key": key}
        kept = True
        if self._use("error_kept", call.path):
            answer = Answer(500, _unwell().body)
        else:
            try:
                answer = self._run(call)
            except ApiError as error:
                answer, kept = Answer(error.status, error.body), error.kept
            if self._use("error_after", call.path):
                answer = Answer(500, _unwell().body)
        if name is not None and kept:
            self._keys.keep(name, given, answer)
        lost = self._use("timeout_after", call.path)
        self.state.request = {"id": None, "idempotency_key": None}
        self.commit()
        if lost:
            await asyncio.sleep(self.state.faults.hold_seconds)
            raise _timeout()
        return answer

    def _run(self, call: "_Prepared") -> Answer:
        values = dict(call.values)
        paths = values.pop("expand", [])
        made = call.operation(Call(self.state, call.path, call.ids, Params(values), call.account))
        body = shown(made)
        expand(self.state, body, paths if isinstance(paths, list) else [paths])
        return Answer(200, body)

    def _concerns(self, path: str) -> bool:
        return path.startswith(self.state.faults.only)

    def _use(self, fault: str, path: str) -> bool:
        used = self._concerns(path) and self.state.faults.use(fault)
        if used:
            self.state.save_faults()
            self.commit()
        return used


@dataclass(frozen=True)
class _Prepared:
    operation: Operation
    path: str
    ids: tuple[str, ...]
    values: dict[str, Any]
    account: str
    request_id: str


def _unwell() -> ApiError:
    return ApiError("An unexpected error occurred.", status=500, type="api_error")


def _timeout() -> ApiError:
    return ApiError("The gateway did not answer in time.", status=504, type="api_error")
