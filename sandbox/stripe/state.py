"""The state of the fake Stripe: objects as the API shows them, the market clock, what is due, and rows to journal.

An object is a dict of its public fields; fields that start with `_` are the fake's own and never leave it.
"""

import heapq
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox.config import StripeEndpoint
from sandbox.instants import SECOND
from sandbox.journal import Row
from sandbox.stripe.errors import ApiError, missing
from sandbox.stripe.faults import Faults

Object = dict[str, Any]
PLATFORM: Final = "acct_sandbox"
API_VERSION: Final = "2026-10-28.endive"

# Fields that objects are looked up by.
_INDEXED: Final[Mapping[str, tuple[str, ...]]] = {
    "checkout.session": ("payment_intent",),
    "charge": ("payment_intent", "transfer_group"),
    "refund": ("payment_intent", "charge"),
    "dispute": ("payment_intent", "charge"),
    "balance_transaction": ("source", "_payout"),
    "transfer": ("transfer_group", "destination"),
    "identity.verification_session": ("client_reference_id",),
}


class State:
    """`account` is the id of a connected account, or "" for the platform itself. `now_us`: market time. `to_bank` is
    called with currency, amount and id of each payout that arrives at the firm's own bank."""

    def __init__(self, base_url: str, endpoints: Iterable[StripeEndpoint] = ()) -> None:
        self.base_url = base_url
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self.undelivered: dict[str, None] = {}  # "event id/endpoint name"
        self.now_us = 0
        self.to_bank: Callable[[str, int, str], None] = lambda *_: None
        self.faults = Faults()
        self.events_made = 0
        self.request: dict[str, str | None] = {"id": None, "idempotency_key": None}  # of the call that runs now
        self._count = 0
        self._objects: dict[str, Object] = {}
        self._order: dict[str, list[int]] = {}  # kind -> the numbers of its objects, rising
        self._by_number: dict[int, str] = {}
        self._index: dict[tuple[str, str, str], dict[str, None]] = {}
        self._due: list[tuple[int, int, str, str]] = []  # heap of (time, number, action, object id)
        self._rows: list[Row] = []

    @property
    def now(self) -> int:
        """Market time in seconds."""
        return self.now_us // SECOND

    # objects

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:08d}"

    def add(self, made: Object, account: str = "") -> Object:
        self._count += 1
        made |= {"_number": self._count, "_account": account}
        self._place(made)
        self.save(made)
        return made

    def save(self, changed: Object) -> None:
        self._reindex(changed)
        self._rows.append(Row("stripe", changed["id"], json.dumps(changed)))

    def remove(self, id: str) -> None:
        gone = self._objects.pop(id)
        numbers = self._order[gone["object"]]
        del numbers[bisect_left(numbers, gone["_number"])]
        del self._by_number[gone["_number"]]
        for field in _INDEXED.get(gone["object"], ()):
            self._index.get((gone["object"], field, gone[field]), {}).pop(id, None)
        self._rows.append(Row("stripe", id, None))

    def find(self, id: str) -> Object | None:
        return self._objects.get(id)

    def owner(self, id: str) -> str:
        """Returns the account that an object belongs to."""
        found = self._objects.get(id)
        return "" if found is None else str(found["_account"])

    def get(self, kind: str, id: str, account: str = "", *, param: str = "id", status: int = 404) -> Object:
        """Returns an object of this account. Raises ApiError."""
        found = self._objects.get(id)
        if found is None or found["object"] != kind or found["_account"] != account:
            raise missing(kind.replace(".", "_"), id, param=param, status=status)
        return found

    def newest_first(
        self, kind: str, account: str | None, where: Mapping[str, str], *, after: int = 0, before: int | None = None
    ) -> Iterator[Object]:
        """Yields the objects with these values and a number between `after` and `before`. `account` None: of any."""
        indexed = next((name for name in where if name in _INDEXED.get(kind, ())), None)
        if indexed is None:
            numbers = self._order.get(kind, [])
            end = len(numbers) if before is None else bisect_left(numbers, before)
            ids: Iterable[str] = (
                self._by_number[numbers[i]] for i in range(end - 1, bisect_right(numbers, after) - 1, -1)
            )
        else:
            ids = reversed(self._index.get((kind, indexed, where[indexed]), {}))
        for id in ids:
            found = self._objects[id]
            fits = found["_number"] > after and (before is None or found["_number"] < before)
            if fits and account in (None, found["_account"]) and all(found[n] == v for n, v in where.items()):
                yield found

    def all(self, kind: str, account: str | None = "", **where: str) -> list[Object]:
        """Returns objects, oldest first."""
        return list(self.newest_first(kind, account, where))[::-1]

    def _place(self, made: Object) -> None:
        self._objects[made["id"]] = made
        self._order.setdefault(made["object"], []).append(made["_number"])
        self._by_number[made["_number"]] = made["id"]

    def _reindex(self, changed: Object) -> None:
        for field in _INDEXED.get(changed["object"], ()):
            if changed[field]:
                self._index.setdefault((changed["object"], field, changed[field]), {})[changed["id"]] = None

    # what is due

    def later(self, wait_us: int, action: str, id: str) -> None:
        """Do `action` with the object `id` once market time has moved on by `wait_us`."""
        self._count += 1
        job = (self.now_us + wait_us, self._count, action, id)
        heapq.heappush(self._due, job)
        self._rows.append(Row("stripe_due", f"{self._count:012d}", json.dumps(job)))

    def advance(self, now_us: int, act: Callable[[str, str], None]) -> None:
        """Set market time, and call `act` with each due action and object id in order of their times."""
        while self._due and self._due[0][0] <= now_us:
            at, number, action, id = heapq.heappop(self._due)
            self.now_us = max(self.now_us, at)
            self._rows.append(Row("stripe_due", f"{number:012d}", None))
            act(action, id)
        self.now_us = now_us

    # webhooks

    def hook(self, event_id: str, kind: str, type: str) -> int:
        """Queue an event for each endpoint that takes it, and return their number."""
        taking = [
            name
            for name, endpoint in self.endpoints.items()
            if endpoint.kind == kind and ("*" in endpoint.events or type in endpoint.events)
        ]
        for name in taking:
            self.undelivered[f"{event_id}/{name}"] = None
            self.row("hook", f"{event_id}/{name}", True)
        return len(taking)

    def delivered(self, hook: str) -> None:
        if hook in self.undelivered:
            del self.undelivered[hook]
            self.row("hook", hook, None)

    # the journal

    def row(self, kind: str, id: str, value: Any) -> None:
        """Keep a row of another part of the fake; None deletes it."""
        self._rows.append(Row(f"stripe_{kind}", id, None if value is None else json.dumps(value)))

    def save_faults(self) -> None:
        self.row("state", "faults", self.faults.model_dump())
        self.row("state", "fault_uses", self.faults.uses)

    def drain(self) -> Iterable[Row]:
        """Returns the rows changed since the last call."""
        rows, self._rows = self._rows, []
        if rows:
            rows.append(Row("stripe_state", "counts", json.dumps([self._count, self.events_made])))
        return rows

    def restore(self, rows: Mapping[str, list[tuple[str, Any]]], now_us: int) -> None:
        """Restore the state from the journal's rows by kind."""
        self.now_us = now_us
        kept = dict(rows["stripe_state"])
        self._count, self.events_made = kept.get("counts", (0, 0))
        self.faults = Faults.model_validate(kept.get("faults", {})).counted_since(Counter(kept.get("fault_uses", {})))
        for made in sorted((made for _, made in rows["stripe"]), key=lambda made: int(made["_number"])):
            self._place(made)
            self._reindex(made)
        self._due = [(at, number, action, id) for _, (at, number, action, id) in rows["stripe_due"]]
        heapq.heapify(self._due)
        self.undelivered = {hook: None for hook, _ in rows["stripe_hook"]}


def shown(made: Object) -> Object:
    """Returns a copy of an object as the API shows it."""
    public = {name: value for name, value in made.items() if not name.startswith("_")}
    copy: Object = json.loads(json.dumps(public))
    return copy


def check_account(state: State, account: str) -> None:
    """Raises ApiError when the header Stripe-Account names an unknown account."""
    found = state.find(account)
    if account and (found is None or found["object"] != "account"):
        raise ApiError(
            f"The provided key does not have access to account '{account}' (or that account does not exist). "
            "Application access may have been revoked.",
            status=403,
            code="account_invalid",
            kept=False,
        )
