"""How far a trader's credentials at a venue are."""

from typing import Literal

# making: the venue has not answered yet. ready: the password waits to be shown. shown: it was, and is kept nowhere.
# as_before: the trader signs in with what they had before.
State = Literal["making", "ready", "shown", "as_before"]


def state_of(*, username: str | None, has_password: bool, was_shown: bool) -> State:
    if username is None:
        return "making"
    if has_password:
        return "ready"
    return "shown" if was_shown else "as_before"
