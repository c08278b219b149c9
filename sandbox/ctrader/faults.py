"""Faults that the fake produces on request, by kind of request, and in the events that it sends."""

from collections import Counter
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

# Before the effect: refusals, and a connection that is cut. After it: no answer, or one that cannot be used.
RequestFault = Literal[
    "in_use",
    "refused",
    "too_many",
    "busy",
    "closed_market",
    "token_expired",
    "cut_before",
    "silent_before",
    "cut_after",
    "failed_after",
    "garbage",
    "cut_body",
    "wrong_type",
    "unknown_field",
    "unknown_enum",
    "accepted_only",
    "slow",
]
EventFault = Literal[
    "duplicate", "drop", "reorder", "delay", "unknown_field", "unknown_enum", "garbage", "unknown_login", "zero_price"
]
# The kinds of events that these can befall.
_ONLY: Final[dict[EventFault, tuple[str, ...]]] = {
    "unknown_login": ("ProtoOAExecutionEvent", "ProtoOAv1PnLChangeEvent"),
    "zero_price": ("ProtoOASpotEvent",),
}
REFUSALS: Final[dict[str, str]] = {
    "in_use": "PENDING_EXECUTION",
    "refused": "TRADING_NOT_ALLOWED",
    "too_many": "REQUEST_FREQUENCY_EXCEEDED",
    "busy": "SERVER_IS_UNDER_MAINTENANCE",
    "closed_market": "MARKET_CLOSED",
    "token_expired": "OA_AUTH_TOKEN_EXPIRED",
}
FOR_EVER: Final = 1_000_000


class Fault(BaseModel):
    """`kind`: name of a message, such as ProtoOAClosePositionReq. `times`: how often it happens. `retry_after`: seconds
    that `too_many` asks to wait."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    fault: RequestFault
    times: int = Field(default=FOR_EVER, ge=1)
    retry_after: int = Field(default=0, ge=0)


class EventFaults(BaseModel):
    """How many of the next events of each connection go wrong. `delay_seconds`: of a delayed event."""

    model_config = ConfigDict(extra="forbid")

    faults: dict[EventFault, int] = Field(default_factory=dict)
    kinds: tuple[str, ...] = ()  # names of messages; empty: all
    delay_seconds: float = Field(default=1.0, ge=0, le=120)


class Faults:
    """`uses` counts what really happened, by name; faults of events begin with `event_`."""

    def __init__(self) -> None:
        self.uses: Counter[str] = Counter()
        self._requests: dict[str, Fault] = {}
        self._events = EventFaults()

    def set(self, fault: Fault) -> None:
        self._requests[fault.kind] = fault

    def set_events(self, faults: EventFaults) -> None:
        self._events = faults

    def clear(self) -> None:
        self._requests.clear()
        self._events = EventFaults()

    def of_request(self, kind: str) -> Fault | None:
        """Returns what goes wrong with this request, and counts it."""
        found = self._requests.get(kind)
        if found is None:
            return None
        found.times -= 1
        if not found.times:
            del self._requests[kind]
        self.uses[found.fault] += 1
        return found

    def of_event(self, kind: str) -> EventFault | None:
        """Returns what goes wrong with this event, and counts it."""
        if self._events.kinds and kind not in self._events.kinds:
            return None
        for fault in get_args(EventFault):
            if self._events.faults.get(fault, 0) and kind in _ONLY.get(fault, (kind,)):
                self._events.faults[fault] -= 1
                self.uses[f"event_{fault}"] += 1
                return fault  # type: ignore[no-any-return]
        return None

    @property
    def delay_seconds(self) -> float:
        return self._events.delay_seconds
