"""Every refusal of the API as a typed response: a problem document for each status, with the types that it can have."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from api.openapi.rights import Access
from api.problems import MEDIA_TYPE, Problem
from domain import decision_errors, errors, key_errors, platform_errors, sign_in_errors
from domain.errors import PropOSError
from domain.file_errors import PolicyInvalid, ProductInvalid, ThresholdsInvalid, YamlInvalid

_MODULES: Final = (errors, decision_errors, key_errors, platform_errors, sign_in_errors)
_OF_FILES: Final = (PolicyInvalid, ProductInvalid, ThresholdsInvalid, YamlInvalid)
# Refusals of the demo, the sandbox, the monitor and the command line.
_ELSEWHERE: Final = frozenset({"error", "refused", "answer-lost", "stale-epoch", "key-in-use"})
_NAMES: Final = {
    400: ("BadRequest", "The request cannot be read, or its signature is wrong."),
    401: ("NotSignedIn", "Not signed in."),
    403: ("NotAllowed", "The role or the scope does not allow it, or it needs a proof first: `step_up` says how."),
    404: ("NotFound", "Unknown, or somebody else's."),
    408: ("TooSlow", "The body arrived too slowly."),
    409: ("Conflict", "Its state does not allow it, or the Idempotency-Key was used with other input."),
    413: ("TooLarge", "The body is too large."),
    422: ("InvalidInput", "A field is wrong; `field` names it."),
    429: ("TooManyRequests", "Too many requests or attempts; `Retry-After` says how long to wait where it is known."),
    503: ("Unavailable", "A part is down; repeat it with the same key."),
}
_BRANCH: Final = re.compile(r"\s*[|` ]*-- (\w+)(?: +\d{3})?(?: +(.+))?")
_WORDS: Final = {
    found[1]: found[2] or "" for line in (errors.__doc__ or "").splitlines() if (found := _BRANCH.match(line))
}


def types() -> dict[int, dict[str, str]]:
    """The types of problems by status, each with what it says; in the order of their names."""
    found: dict[int, dict[str, str]] = {status: {} for status in _NAMES}
    for kind in sorted(_kinds(), key=lambda each: each.type):
        if kind.status in found:
            found[kind.status][kind.type] = _WORDS.get(kind.__name__) or _NAMES[kind.status][1].rstrip(".")
    return found


def _kinds() -> Iterator[type[PropOSError]]:
    ours = {each for module in _MODULES for each in vars(module).values() if isinstance(each, type)}
    for each in (*ours, *_OF_FILES):
        if issubclass(each, PropOSError) and each.type not in _ELSEWHERE:
            yield each


def schemas() -> dict[str, Any]:
    """A problem document, and one for each status in which `type` is one of those that it can have."""
    whole = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    made: dict[str, Any] = whole.pop("$defs")
    for status, known in types().items():
        one = deepcopy(whole) | {"title": f"{_NAMES[status][0]}Problem"}
        one["properties"]["type"] |= {"enum": list(known), "x-enum-descriptions": known}
        one["properties"]["status"] |= {"const": status}
        made[one["title"]] = one
    return made


def responses() -> dict[str, Any]:
    return {
        name: {
            "description": words,
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{name}Problem"}}},
        }
        for name, words in _NAMES.values()
    }


def add(operation: dict[str, Any], path: str, method: str, access: Access) -> None:
    """Says with which statuses the operation refuses. What the route says of a status itself stays."""
    answers = operation["responses"]
    if answers.get("422", {}).get("content", {}).keys() <= {"application/json"}:
        answers.pop("422", None)  # the framework's own
    for status in sorted(_statuses(path, method, access)):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{_NAMES[status][0]}"})


def _statuses(path: str, method: str, access: Access) -> set[int]:
    if not path.startswith(("/v1", "/webhooks")):
        return set()
    found = {404, 422, 429, 503}
    if access.signed_in or path.startswith("/v1"):
        found |= {401, 403}
    return found if method == "get" else found | {400, 408, 409, 413}
