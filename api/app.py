"""The web application: the JSON API and the console on one address."""

from fastapi import FastAPI

import console
from api.json_api import create_json_api
from front.deps import ApiDeps


def create_app(deps: ApiDeps) -> FastAPI:
    """Composed by the command line; serve it on one process."""
    app = create_json_api(deps, console.error_page(deps))
    app.router.routes.extend(console.router(deps).routes)  # to include it would read each page's parameters again
    return app
