"""The JSON API, webhooks and health, without the console."""

from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware

from api import health, openapi, problems, webhooks
from api.edge import Limits, Observed
from api.metrics import Metrics
from api.routes import (
    account_actions,
    accounts,
    api_keys,
    books,
    bulk,
    cases,
    certificates,
    challenges,
    chargebacks,
    credentials,
    decisions,
    disputes,
    events,
    exposure,
    factors,
    firm,
    identity_provider,
    interventions,
    mails,
    notifications,
    orders,
    parked,
    payouts,
    people,
    platform_changes,
    platforms,
    product_drafts,
    product_words,
    products,
    reconciliation,
    reports,
    saved_views,
    selling,
    selling_for,
    sign_in,
    sign_ins,
    staff,
    step_ups,
    surveillance_policy,
    ticket_desk,
    tickets,
    trading,
    waiting,
    webhook_endpoints,
    workflows,
)
from front.auth import account_by_number
from front.deps import ApiDeps
from front.lists import only_known_parameters

_DESCRIPTION: Final = """
Money is in minor units beside its currency in answers, and a string such as "1240.50" in requests. Times are UTC.

Every POST except signing in, proving who you are, changing your own factors, checking an order, asking for a price and
showing credentials needs an `Idempotency-Key`. The same key with the same input returns the first answer again; with
other input it is refused. Lists are paged: pass the `next_cursor` of one page as `?cursor=` of the next,
or its `previous_cursor` to go back. A filter value that cannot be and a parameter that is not listed here are refused.
Where an address has `{account_id}`, the number of the account, such as `A-10042`, does as well.

A program sends an API key as `Authorization: Bearer propos_…`. Every answer says how many requests are left, in
`RateLimit` and `RateLimit-Policy`.

A refusal is `application/problem+json`. What belongs to somebody else is answered like what does not exist.
"""

_MODULES: Final = (
    webhooks,  # first: requests are compared with the routes in this order, and these come by the hundreds
    people,
    sign_ins,
    staff,
    sign_in,
    factors,
    step_ups,
    identity_provider,
    challenges,
    selling,
    selling_for,
    products,
    product_drafts,
    product_words,
    accounts,
    trading,
    certificates,
    account_actions,
    interventions,
    credentials,
    orders,
    payouts,
    books,
    disputes,
    chargebacks,
    cases,
    surveillance_policy,
    reconciliation,
    reports,
    saved_views,
    tickets,
    ticket_desk,
    mails,
    notifications,
    platforms,
    platform_changes,
    exposure,
    firm,
    bulk,
    parked,
    waiting,
    api_keys,
    webhook_endpoints,
    events,
    workflows,
    health,
)


# How parameters are read takes seconds to work out: each application of a process has these very routes.
_ROUTES: Final = APIRouter(
    dependencies=[Depends(account_by_number), Depends(only_known_parameters)],
    generate_unique_id_function=lambda route: route.name,
)
for _module in _MODULES:
    _ROUTES.include_router(_module.router)


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
        routes=_ROUTES.routes,
        dependencies=_ROUTES.dependencies,
        generate_unique_id_function=_ROUTES.generate_unique_id_function,
        middleware=[Middleware(Observed, metrics=metrics, error_page=error_page), Middleware(Limits)],
    )
    app.state.deps = deps
    app.state.metrics = metrics
    problems.install(app, error_page)
    openapi.install(app)
    app.include_router(decisions.router(deps.subjects))
    return app
