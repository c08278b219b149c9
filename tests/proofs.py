"""People of the tests prove themselves by password, as people without a factor do, in every helper that decides. For
their first factor they use a link, as it is mailed."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx

_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_FORM: Final = re.compile(r'<form(?: class="prove")? method="post" action="([^"]+)">(.*?)</form>', re.DOTALL)


async def prove_by_api(
    http: httpx.AsyncClient, answer: httpx.Response, password: str, link: Callable[[], Awaitable[str]] | None = None
) -> httpx.Response:
    """Make the step-up that `answer` asks for, and repeat its request. Another answer is returned as it is. `link`:
    makes the token of a link."""
    if answer.status_code != 403 or answer.json()["type"] != "step-up-required":
        return answer
    asked, request = answer.json()["step_up"], answer.request
    headers = {
        name: request.headers[name] for name in ("authorization", "cookie", "x-csrf-token") if name in request.headers
    }
    proof = {"method": "password", "text": password}
    if asked["methods"] == ["mail"] and link is not None:
        proof = {"method": "mail", "text": await link()}
    body = {"action": asked["action"], "digest": asked["digest"], **proof}
    made = await http.post("/v1/step-ups", json=body, headers=headers)
    assert made.status_code == 201, made.text
    again = http.build_request(request.method, request.url, content=request.content, headers=request.headers)
    return await http.send(again)


def proof_form(page: str, method: str = "password", to: str | None = None) -> tuple[str, dict[str, list[str]]]:
    """The address and the fields of the first form on the page that carries a proof of this kind."""
    for address, inner in _FORM.findall(page):
        if f'name="proof_method" value="{method}"' in inner and to in (None, address):
            fields: dict[str, list[str]] = {}
            for name, value in _HIDDEN.findall(inner):
                fields.setdefault(name, []).append(html.unescape(value))
            return html.unescape(address), fields
    raise AssertionError(f"the page does not ask for a proof by {method}")


async def prove_by_form(http: httpx.AsyncClient, answer: httpx.Response, password: str, **more: Any) -> httpx.Response:
    """Fill in the page that asks for a proof. Another page is returned as it is."""
    if answer.status_code != 403 or 'name="proof_digest"' not in answer.text:
        return answer
    address, fields = proof_form(answer.text)
    return await http.post(address, data={**fields, "proof_text": password}, **more)
