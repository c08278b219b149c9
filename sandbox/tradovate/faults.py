"""Faults that the fake Tradovate produces on request. Each use of a number counts it down."""

from collections import Counter
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

_Times = Field(default=0, ge=0)


class Faults(BaseModel):
    """Faults to produce.

    Calls whose path starts with one of `only` (such as "order/"; empty: all but sign-in):
    - error_text: answer 200 with an error text, without the effect
    - penalty: answer 200 with a penalty ticket of `penalty_seconds`, without the effect
    - captcha: answer 200 with a penalty ticket that only a person can answer
    - timeout_before, timeout_after: hold the answer for `hold_seconds` and then cut the connection, without or with
      the effect
    - cut_before, cut_after: cut the connection, without or with the effect
    - too_many, busy: answer 429 or 503, without the effect
    - failed_after: answer 500 after the effect
    - cut_body: answer half a body, after the effect
    - wrong_type: answer with numbers as texts in words, after the effect
    - unknown_field: answer with one field more
    - expired: refuse the token of the call, as if it had run out
    - refuse_liquidations: answer that liquidations are accepted, and do nothing

    Frames of the web sockets:
    - duplicate, reorder, drop, cut_frame, garbage, wrong_type_frame, unknown_field_frame, unknown_enum, unknown_entity:
      the next frames with changes come twice, after the one behind it, never, cut off, as bytes that are no frame, with
      texts for numbers, with one more field, with an unknown word, as an entity of an unknown type
    - other_zone, unknown_login: the times of the next frames with times in another zone; next to the next frames about
      an account, the same of an account and of ids that nobody knows
    - zero_price, negative_price: before the next quotes, one of nothing and one below
    - late_fees: the next fees come one frame after their fill
    - delay: seconds by which every frame is late
    - silent: while set, no heartbeats
    - disconnect: closes this many of the next frames' connections

    `uses` counts what really happened, under the same names.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    _uses: Counter[str] = PrivateAttr(default_factory=Counter)

    only: tuple[str, ...] = ()
    error_text: int = _Times
    penalty: int = _Times
    penalty_seconds: int = Field(default=0, ge=0)
    captcha: int = _Times
    timeout_before: int = _Times
    timeout_after: int = _Times
    hold_seconds: float = Field(default=0, ge=0, le=60)
    cut_before: int = _Times
    cut_after: int = _Times
    too_many: int = _Times
    busy: int = _Times
    failed_after: int = _Times
    cut_body: int = _Times
    wrong_type: int = _Times
    unknown_field: int = _Times
    expired: int = _Times
    refuse_liquidations: int = _Times

    duplicate: int = _Times
    reorder: int = _Times
    drop: int = _Times
    cut_frame: int = _Times
    garbage: int = _Times
    wrong_type_frame: int = _Times
    unknown_field_frame: int = _Times
    unknown_enum: int = _Times
    unknown_entity: int = _Times
    other_zone: int = _Times
    unknown_login: int = _Times
    zero_price: int = _Times
    negative_price: int = _Times
    late_fees: int = _Times
    delay: float = Field(default=0, ge=0, le=600)
    silent: bool = False
    disconnect: int = _Times

    def use(self, name: str, path: str | None = None) -> bool:
        """Returns whether fault `name` happens now, and counts it down. `path`: of a call."""
        if path is not None and not self.concerns(path):
            return False
        left = int(getattr(self, name))
        if left:
            setattr(self, name, left - 1)
            self._uses[name] += 1
        return left > 0

    def concerns(self, path: str) -> bool:
        return path.startswith(self.only) if self.only else not path.startswith("auth/")

    def slow(self) -> float:
        """Returns by how many seconds the next frame is late, and counts it."""
        self._uses["delay"] += self.delay > 0
        return self.delay

    @property
    def uses(self) -> Counter[str]:
        return self._uses

    def counted_since(self, before: Counter[str]) -> "Faults":
        """Returns these faults with the uses of earlier ones."""
        self._uses = before
        return self


_WORDS: Final = "a text"


def with_texts(value: Any) -> Any:
    """Returns a value with words in place of its numbers."""
    if isinstance(value, dict):
        return {name: with_texts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [with_texts(part) for part in value]
    return value if isinstance(value, bool | str) or value is None else _WORDS
