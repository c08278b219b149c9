"""Which kinds of sign-in an operation takes, and which right it needs."""

from typing import Any, Final

from api.openapi.rights import Access
from front.auth import COOKIE, CSRF_HEADER

SCHEMES: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "propos_…",
        "description": "An API key of a program, with the scope that the operation names.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A person's sign-in: the `token` that `POST /v1/sessions` answers.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A person's sign-in in a browser.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "The `csrf` that `POST /v1/sessions` answers. Beside the cookie on everything but GET.",
    },
}


def secure(operation: dict[str, Any], access: Access, *, changes: bool) -> None:
    """Adds `security`, and the right: `x-permission`, `x-roles`, `x-api-key`."""
    if not access.signed_in:
        operation["security"] = []
        return
    scopes = [access.right.name] if access.right else []
    cookie = {"cookie": list[str](), **({"csrf": list[str]()} if changes else {})}
    operation["security"] = [*([{"apiKey": scopes}] if access.keys else []), {"token": []}, cookie]
    operation["x-api-key"] = access.keys
    if access.right:
        operation["x-permission"] = access.right.name
        operation["x-roles"] = sorted(access.right.roles)
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), _words(access))))


def _words(access: Access) -> str:
    keys = "An API key may do it." if access.keys else "No API key may do it: it needs a person."
    if access.right is None:
        return f"For whoever is signed in. {keys}"
    return f"Right: `{access.right.name}` ({', '.join(sorted(access.right.roles))}). {keys}"
