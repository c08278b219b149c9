"""The reference of the API, for whoever writes a program: no sign-in, no script, nothing from elsewhere."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console import templating
from console.desk import Desk, shell
from console.present.api_reference import chapters, reference
from domain.errors import NotFound


class ApiReferencePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/docs", self.contents, methods=["GET"], response_model=None)
        router.add_api_route("/docs/{operation}", self.operation, methods=["GET"], response_model=None)

    async def contents(self, request: Request) -> HTMLResponse:
        document = request.app.openapi()
        about = [part for part in document["info"]["description"].strip().split("\n\n") if part]
        return _page(request, "api_contents.html", chapters=chapters(document), about=about)

    async def operation(self, request: Request) -> HTMLResponse:
        found = reference(request.app.openapi(), request.path_params["operation"], self._desk.deps.public_url)
        if found is None:
            raise NotFound
        return _page(request, "api_operation.html", reference=found)


def _page(request: Request, template: str, **context: Any) -> HTMLResponse:
    return HTMLResponse(templating.page(template, {**shell(request), **context}), headers=templating.HEADERS)
