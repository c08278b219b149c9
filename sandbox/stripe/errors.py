"""An error as the API answers it."""

from typing import Any


class ApiError(Exception):
    """An error object: `type`, `code`, `message`, `param`.

    `kept`: the call has begun its work, so the answer is kept under its idempotency key. Wrong parameters and unknown
    ids are found before that.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = True,
        **more: str,
    ) -> None:
        super().__init__(message)
        self.status, self.kept = status, kept
        given = {"message": message, "type": type, "code": code, "param": param, **more}
        self.error: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def missing(kind: str, id: str, *, param: str = "id", status: int = 404) -> ApiError:
    """Returns the error for an unknown id: 404 for one in the address, 400 for one in the parameters."""
    return ApiError(f"No such {kind}: '{id}'", status=status, code="resource_missing", param=param, kept=False)


def invalid(message: str, param: str, code: str = "parameter_invalid") -> ApiError:
    return ApiError(message, code=code, param=param, kept=False)
