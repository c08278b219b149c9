"""What an answer means that may be Zammad's, or that of a proxy before it."""

import asyncio
import contextlib
import json

import pytest

from adapters.zammad import client as client_module
from adapters.zammad.client import Client
from adapters.zammad.config import ZammadSettings
from domain.errors import BadInput, NotFound, OutcomeUnknown, PropOSError, TooLarge, Unavailable

WORDS = json.dumps({"error": "Not so.", "error_human": "Not so."})
OTHER_WORDS = json.dumps({"message": "no Route matched"})
PAGE = "<html><h1>Not found</h1></html>"


@pytest.mark.parametrize(
    ("status", "body", "asked", "changed"),
    [
        *((status, WORDS, BadInput, BadInput) for status in (400, 409, 413, 422)),
        (404, WORDS, NotFound, NotFound),
        *((status, PAGE, Unavailable, OutcomeUnknown) for status in (302, 400, 404, 405, 413, 422, 500, 502, 504)),
        *((status, OTHER_WORDS, Unavailable, OutcomeUnknown) for status in (404, 422)),
        *((status, WORDS, Unavailable, OutcomeUnknown) for status in (405, 500)),
        *((status, WORDS, Unavailable, Unavailable) for status in (401, 403, 429, 503)),
        (401, PAGE, Unavailable, Unavailable),
        (200, PAGE, Unavailable, OutcomeUnknown),
    ],
)
async def test_only_zammads_own_words_are_a_refusal(
    status: int, body: str, asked: type[PropOSError], changed: type[PropOSError]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nLocation: /login\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = ZammadSettings.model_validate({"url": url, "token": "t", "webhook_secret": "0123456789abcdef"})
        for call, expected in (("ask", asked), ("change", changed)):
            client = Client(settings)
            with pytest.raises(PropOSError) as caught:
                await (client.ask("/tickets/1") if call == "ask" else client.change("DELETE", "/tickets/1"))
            assert type(caught.value) is expected
            await client.aclose()


async def test_an_answer_without_end_is_read_no_further_than_the_limit() -> None:
    sent = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 x\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 10 * client_module._MOST_BYTES:
                writer.write(b"[" * 2**20)
                await writer.drain()
                sent += 2**20
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = ZammadSettings.model_validate({"url": url, "token": "t", "webhook_secret": "0123456789abcdef"})
        for call, expected in (("ask", TooLarge), ("change", OutcomeUnknown)):
            sent, client = 0, Client(settings)
            with pytest.raises(expected, match="more than 16 MiB") as caught:
                await (client.ask("/tickets/1") if call == "ask" else client.change("PUT", "/tickets/1"))
            assert type(caught.value) is expected and sent < 5 * client_module._MOST_BYTES
            await client.aclose()
