"""Messages that a workflow drops: the reasons, and the function that reports them."""

from collections.abc import Callable
from typing import Final, Literal

DropReason = Literal["unreadable", "unknown_signal", "wrong_arguments"]
ReportDrop = Callable[[str, DropReason], None]
"""Called with a workflow id and the reason why a message to it was dropped. May be called from any thread; never blocks
and never raises."""

DROP_SENTENCES: Final[dict[DropReason, str]] = {
    "unreadable": "A message could not be read: it was not encrypted by us for this workflow, or has another shape.",
    "unknown_signal": "A signal has a name that this workflow does not know.",
    "wrong_arguments": "A signal has too many or too few arguments.",
}
