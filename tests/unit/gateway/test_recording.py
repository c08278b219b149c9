"""A line of a recording is JSON as Python writes it, and is read back as the message that it was."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.recording import Recording, read, to_line
from ports.venue import Message

NOW = datetime(2026, 3, 2, 9, 0, 0, 5, tzinfo=UTC)


@given(channel=st.text(max_size=8), body=st.one_of(st.binary(), st.text().map(str.encode)))
def test_a_line_is_what_json_writes(channel: str, body: bytes) -> None:
    at = NOW.astimezone(timezone(timedelta(hours=-3)))
    expected = {"at": at.isoformat(), "channel": channel}
    try:
        expected["body"] = body.decode()
    except UnicodeDecodeError:
        expected["base64"] = base64.b64encode(body).decode()
    line = to_line(Message(channel, body, at))
    assert line == json.dumps(expected, ensure_ascii=False).encode() + b"\n"


def test_a_recorded_day_is_read_back(tmp_path: Path) -> None:
    messages = [Message("ws", body, NOW) for body in (b"{}", b'"\\\n\x00\x7f', "é\u2028".encode(), b"\xff\x00")]
    recording = Recording(tmp_path, 1)
    for message in messages:
        recording.add(message)
    recording.close()
    [path] = tmp_path.iterdir()
    assert list(read(path)) == messages
