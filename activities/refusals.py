"""How a refusal leaves an activity."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.errors import AlreadyDecided, PropOSError, Unavailable


def final(refusal: PropOSError) -> ApplicationError:
    """The refusal as it crosses Temporal: its stable type and sentence, not to be tried again."""
    details = {"by": refusal.by} if isinstance(refusal, AlreadyDecided) else {}
    return ApplicationError(refusal.message, details, type=refusal.type, non_retryable=True)


@contextmanager
def refusals_are_final() -> Iterator[None]:
    """A refusal keeps its stable type and sentence and is not tried again; what is merely unavailable is."""
    try:
        yield
    except Unavailable:
        raise
    except PropOSError as refusal:
        raise final(refusal) from None
