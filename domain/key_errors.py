"""Refusals of programs that act for a person: API keys, their scopes and their rate limits."""

from domain.errors import NotAllowed, PropOSError


class NeedsPerson(NotAllowed):
    """An API key asked for something that only a signed-in person may do."""

    type = "needs-person"

    def __init__(self, message: str = "Only a signed-in person may do this; an API key may not.") -> None:
        super().__init__(message, remedy="Sign in and do it yourself.")


class OutOfScope(NotAllowed):
    """An API key lacks the scope that the route needs."""

    type = "out-of-scope"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This API key lacks the scope {scope}.", remedy=f"Create a key with the scope {scope}, or sign in."
        )


class TooManyRequests(PropOSError):
    """A person or an API key sent more requests than the firm allows. `retry_after`: seconds until one is free."""

    type, status = "too-many-requests", 429

    def __init__(self, subject: str, limit: int, window: int, retry_after: int) -> None:
        super().__init__(
            f"More than {limit} requests in {window} seconds for this {subject}.",
            remedy=f"Wait {retry_after} seconds, then send it again.",
        )
        self.retry_after = retry_after
