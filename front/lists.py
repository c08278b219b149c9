"""What a request asks of a list: filters, `q` for a search, `sort`."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, StringConstraints

from domain.errors import BadInput
from front.fields import TraderId, plain
from store.read.listing import LONGEST, Asked, Listing

Text = Annotated[str, StringConstraints(max_length=LONGEST), AfterValidator(plain)]
_KINDS: Final[Mapping[str, Any]] = {"trader": TraderId}
_API: Final = "/v1/"
_UPDATED_SINCE: Final = (
    "Rows that changed at this moment or later, and those of ten minutes before, so that none is lost. The oldest"
    " change comes first unless `sort` says otherwise."
)


def asked_from(given: Mapping[str, str], offered: Listing) -> Asked:
    """Reads the address or the form of a page. What is not of the list is left out, and so is a filter without those
    that it needs: somebody took one of them away. Raises BadInput for what is no text."""
    given_filters = {name: text_of(given, name) for name in offered.filters}
    filters = {
        name: value if all(given_filters.get(each) for each in offered.filters[name].needs) else ""
        for name, value in given_filters.items()
    }
    return Asked(filters, text_of(given, "q"), text_of(given, "sort"))


def text_of(given: Mapping[str, str], name: str) -> str:
    """Returns what stands in a field of an address or a form, shortened. Raises BadInput for what is no text."""
    try:
        return plain(given.get(name, "").strip()[:LONGEST])
    except ValueError as problem:
        raise BadInput(f"{name}: {problem}.", field=name, remedy="Type it again.") from None


def asked_of(offered: Listing) -> Callable[..., Awaitable[Asked]]:
    """Returns a dependency of an API route, whose parameters are what the list offers."""

    async def read(**given: str | None) -> Asked:
        filters = {name: given[name] or "" for name in offered.filters}
        return Asked(filters, given["q"] or "", given["sort"] or "")

    sorts = tuple(text for name in offered.orders for text in (name, f"-{name}"))
    kinds = {name: _kind(name, each.values) for name, each in offered.filters.items()}
    kinds |= {"q": Text, "sort": Literal[sorts]}
    words = {name: f"{each.label}." for name, each in offered.filters.items()}
    words |= {"updated_since": _UPDATED_SINCE} if "updated_since" in words else {}
    words |= {"q": f"Finds by {offered.searches}.", "sort": f"With a minus: descending. Without: {offered.order}."}
    read.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, Query(description=words.get(name))],
            )
            for name, kind in kinds.items()
        ],
        return_annotation=Asked,
    )
    return read


def _kind(name: str, values: tuple[str, ...]) -> Any:
    return Literal[values] if values else _KINDS.get(name, Text)


async def only_known_parameters(request: Request) -> None:
    """Refuses a query parameter that the API route does not have: a filter that is mistyped would otherwise give
    everything. Raises BadInput."""
    route = request.scope.get("route")
    if not request.url.path.startswith(_API) or not isinstance(route, APIRoute):
        return
    known = _parameters(route)
    for name in request.query_params:
        if name not in known:
            raise BadInput(
                f"There is no parameter {name[:40]!r} here.",
                field=name[:40],
                remedy=f"Use {', '.join(sorted(known))}." if known else "This address takes no parameters.",
            )


_KNOWN: Final[dict[Callable[..., Any], frozenset[str]]] = {}


def _parameters(route: APIRoute) -> frozenset[str]:
    if route.endpoint not in _KNOWN:
        _KNOWN[route.endpoint] = frozenset(_named_in(route.dependant))
    return _KNOWN[route.endpoint]


def _named_in(part: Dependant) -> Iterator[str]:
    yield from (field.alias for field in part.query_params)
    for each in part.dependencies:
        yield from _named_in(each)
