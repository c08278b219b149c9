"""Lists with pages and filters, and expanded fields."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.state import Object, State, shown

_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "gt": lambda value, limit: value > limit,
    "gte": lambda value, limit: value >= limit,
    "lt": lambda value, limit: value < limit,
    "lte": lambda value, limit: value <= limit,
}
Test = Callable[[Object], bool]


def page(call: Call, kind: str, *fields: str, tests: tuple[Test, ...] = (), account: str | None = "own") -> Object:
    """Returns one page of the account's objects, newest first. `fields`: parameters that an object's field must equal.

    `account` None: the objects of all accounts.
    """
    params, state = call.params, call.state
    limit = params.integer("limit", least=1, most=100) or 10
    start, end = params.text("starting_after"), params.text("ending_before")
    where = {name: value for name in fields if (value := params.text(name)) is not None}
    tests = (*tests, _created(call))
    params.finish()
    if start and end:
        raise invalid("You may only specify one of these parameters: starting_after, ending_before.", "starting_after")
    owner = call.account if account == "own" else account
    if end is not None:
        found = state.newest_first(kind, owner, where, after=_number(call, kind, end, "ending_before"))
        fitting = [one for one in found if all(test(one) for test in tests)]
        return listing(call.path, fitting[-limit:], more=len(fitting) > limit)
    before = None if start is None else _number(call, kind, start, "starting_after")
    some = _first(state.newest_first(kind, owner, where, before=before), tests, limit + 1)
    return listing(call.path, some[:limit], more=len(some) > limit)


def _first(objects: Iterator[Object], tests: tuple[Test, ...], count: int) -> list[Object]:
    found: list[Object] = []
    for one in objects:
        if all(test(one) for test in tests):
            found.append(one)
            if len(found) == count:
                break
    return found


def listing(url: str, objects: list[Object], *, more: bool = False) -> Object:
    return {"object": "list", "data": [shown(one) for one in objects], "has_more": more, "url": url}


def _number(call: Call, kind: str, id: str, param: str) -> int:
    return int(call.state.get(kind, id, call.account, param=param, status=400)["_number"])


def _created(call: Call) -> Test:
    """Returns the test of `created`: a time in seconds, or bounds such as created[gte]."""
    if not call.params.is_object("created"):
        exact = call.params.integer("created")
        return lambda one: exact is None or one["created"] == exact
    bounds = call.params.inside("created")
    limits = {name: limit for name in _COMPARE if (limit := bounds.integer(name)) is not None}
    return lambda one: all(_COMPARE[name](one["created"], limit) for name, limit in limits.items())


def expand(state: State, answer: Object, paths: list[str]) -> None:
    """Replace ids in an answer by their objects. Raises ApiError for a field that cannot be expanded."""
    for path in paths:
        if path.count(".") > 3:
            raise ApiError("You cannot expand more than 4 levels of a property.", param="expand", kept=False)
        _expand(state, [answer], path.split("."), path)


def _expand(state: State, objects: list[Any], names: list[str], path: str) -> None:
    name, rest = names[0], names[1:]
    below: list[Any] = []
    for one in objects:
        if not isinstance(one, dict):
            continue
        value = one.get(name)
        if name not in one or value is None:
            value = _hidden(state, one, name, path)
        elif isinstance(value, str):
            found = state.find(value)
            if found is None:
                raise _not_expandable(path)
            value = shown(found)
        elif not isinstance(value, dict | list):
            raise _not_expandable(path)
        one[name] = value
        below += value if isinstance(value, list) else [value]
    if rest and below:
        _expand(state, below, rest, path)


def _hidden(state: State, one: Object, name: str, path: str) -> Any:
    """Returns a field that is shown only when it is asked for."""
    kind, found = one.get("object"), state.find(one.get("id", ""))
    if kind == "charge" and name == "refunds":
        refunds = state.all("refund", None, charge=one["id"])[::-1]
        return listing(f"/v1/charges/{one['id']}/refunds", refunds)
    if found is not None and f"_{name}" in found:
        return found[f"_{name}"]
    if name in one:
        return None
    raise _not_expandable(path)


def _not_expandable(path: str) -> ApiError:
    return ApiError(f"This property cannot be expanded ({path}).", param="expand", kept=False)
