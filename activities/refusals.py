"""Turns a refusal into an application error that Temporal does not retry."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.errors import AlreadyDecided, PropOSError, Unavailable


def final(refusal: PropOSError) -> ApplicationError:
    """Returns the refusal as an application error with its stable type and sentence; it is not retried."""
    details = {"by": refusal.by} if isinstance(refusal, AlreadyDecided) else {}
    return ApplicationError(refusal.message, details, type=refusal.type, non_retryable=True)


@contextmanager
def refusals_are_final() -> Iterator[None]:
    """Raises refusals as errors that are not retried. Unavailable passes through and is retried."""
    try:
        yield
    except Unavailable:
        raise
    except PropOSError as refusal:
        raise final(refusal) from None
