"""The JSON API, webhooks and health, without the console."""

from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware import Middleware

from api import health, problems, webhooks
from api.edge import Limits, Observed
from api.metrics import Metrics
from api.routes import (
    accounts,
    cases,
    challenges,
    decisions,
    disputes,
    firm,
    orders,
    payouts,
    people,
    product_words,
    products,
    tickets,
)
from front.deps import ApiDeps

_DESCRIPTION: Final = """
Money is in minor units beside its currency in answers, and a string such as "1240.50" in requests. Times are UTC.

Every POST except signing in and checking an order needs an `Idempotency-Key`. The same key with the same input returns
the first answer again; with other input it is refused. Lists are paged: pass the `next_cursor` of one page as
`?cursor=` of the next.

A refusal is `application/problem+json`. What belongs to somebody else is answered like what does not exist.
"""


def _problem(description: str) -> dict[str, str | type[BaseModel]]:
    return {"model": problems.Problem, "description": description}


_REFUSALS: Final = {
    401: _problem("Not signed in."),
    403: _problem("The role does not allow it."),
    404: _problem("Unknown, or somebody else's."),
    409: _problem("Its state does not allow it, or the Idempotency-Key was used with other input."),
    413: _problem("The body is too large."),
    422: _problem("A field is wrong; `field` names it."),
    429: _problem("Too many failed sign-ins."),
    503: _problem("A part is down; repeat it with the same key."),
}


def create_json_api(deps: ApiDeps, error_page: problems.ErrorPage | None = None) -> FastAPI:
    """`error_page` may answer a refused request that a person made in a browser."""
    metrics = Metrics()
    app = FastAPI(
        title="PropOS",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses={status: dict(problem) for status, problem in _REFUSALS.items()},
        middleware=[Middleware(Observed, metrics=metrics), Middleware(Limits)],
    )
    app.state.deps = deps
    app.state.metrics = metrics
    problems.install(app, error_page)
    for module in (
        people,
        challenges,
        products,
        product_words,
        accounts,
        orders,
        payouts,
        disputes,
        cases,
        tickets,
        firm,
        webhooks,
        health,
    ):
        app.include_router(module.router)
    app.include_router(decisions.router(deps.subjects))
    return app
