"""Who may use an operation, read from what its route depends on."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from front.auth import Having, caller_of, person_of
from front.permissions import PERSONS_ONLY
from front.subjects.subject import Right


@dataclass(frozen=True)
class Access:
    """`signed_in`: somebody must ask. `right`: what they need; None: nothing more. `keys`: an API key may ask."""

    signed_in: bool
    right: Right | None
    keys: bool


def routes_of(app: FastAPI) -> dict[tuple[str, str], Access]:
    """The access to each described operation, by path and method in lower case."""
    return {
        (route.path, method.lower()): access(route)
        for route in (found.original_route for found in iter_route_contexts(app.routes))
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    }


def access(route: APIRoute) -> Access:
    calls = list(_calls(route.dependant))
    right = next((call.right for call in calls if isinstance(call, Having)), None)
    signed_in = right is not None or caller_of in calls
    persons = person_of in calls or (right is not None and right.name in PERSONS_ONLY)
    return Access(signed_in, right, signed_in and right is not None and not persons)


def _calls(part: Dependant) -> Iterator[object]:
    for each in part.dependencies:
        yield each.call
        yield from _calls(each)
