"""Ends every `propos` process.

The native threads of the Temporal client can abort the interpreter during its shutdown (exit code 134) or keep it from
ending. So the process flushes its output and exits with `os._exit`.
"""

import logging
import os
import sys
import threading
from typing import NoReturn

DEADLINE_SECONDS = 5.0


def leave(code: int, deadline: float = DEADLINE_SECONDS) -> NoReturn:
    """Flushes logs and streams and exits with `code`. After `deadline` seconds it exits without flushing."""
    guard = threading.Timer(deadline, os._exit, args=(code,))
    guard.daemon = True
    guard.start()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # the reader is gone or the stream is closed
    os._exit(code)
