"""The messages of the cTrader Open API are the published ones, and the code is generated from them."""

import hashlib
from pathlib import Path

from tests.contract.ctrader_messages import FOLDER, generated
from wire.ctrader.kinds import KINDS, number_of
from wire.ctrader.OpenApiMessages_pb2 import ProtoOAExecutionEvent

# file -> its object id in commit 017413087c1c23c1866bbf07ff24d56574047253 of the published repository
PUBLISHED = {
    "LICENSE": "95ff9e562abeeac1cc50b8793b4c577827dba066",
    "OpenApiCommonMessages.proto": "a21699b17c0101f4fc230710743449aab92e9685",
    "OpenApiCommonModelMessages.proto": "a420d2bea7a92c9e31a97c3a67d3553f97b1e21d",
    "OpenApiMessages.proto": "959bfb2e101485e266afdf48d69c38d73c947e2c",
    "OpenApiModelMessages.proto": "79db8354d04cb0c78d20410078737170a7212f58",
}


def object_id(path: Path) -> str:
    """The id that git gives to a file with these bytes."""
    body = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def test_the_descriptions_are_the_published_ones() -> None:
    assert {name: object_id(FOLDER / name) for name in PUBLISHED} == PUBLISHED
    assert {path.name for path in FOLDER.glob("*.proto")} < set(PUBLISHED)


def test_the_code_is_what_the_compiler_makes_of_them() -> None:
    made = generated()
    assert len(made) == 8
    assert {path.name for path in FOLDER.glob("*_pb2.*")} == set(made)
    assert [name for name, text in made.items() if (FOLDER / name).read_text() != text] == []


def test_every_kind_has_one_number() -> None:
    assert len(KINDS) == 96, "94 of the interface, an error and a heartbeat"
    assert KINDS[number_of(ProtoOAExecutionEvent)] is ProtoOAExecutionEvent
