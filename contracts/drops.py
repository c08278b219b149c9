"""Messages that a workflow cannot use: why, and how they are reported."""

from collections.abc import Callable
from typing import Final, Literal

Why = Literal["unreadable", "unknown_signal", "wrong_arguments"]
Note = Callable[[str, Why], None]
"""Called with a workflow id and why a message to it was dropped. From any thread; it never blocks and never raises."""

WORDS: Final[dict[Why, str]] = {
    "unreadable": "A message could not be read: it was not encrypted by us for this workflow, or has another shape.",
    "unknown_signal": "A signal has a name that this workflow does not know.",
    "wrong_arguments": "A signal has too many or too few arguments.",
}
