"""The one way out of every `propos` process.

The Temporal client's native threads can abort the interpreter while it shuts down (exit code 134) or keep it from
ending at all. So the code is handed to the system directly, after everything buffered is written.
"""

import logging
import os
import sys
import threading
from typing import NoReturn

DEADLINE_SECONDS = 5.0


def leave(code: int, deadline: float = DEADLINE_SECONDS) -> NoReturn:
    """Flush the streams and the logs and leave with `code`; after `deadline` seconds leave without flushing."""
    guard = threading.Timer(deadline, os._exit, args=(code,))
    guard.daemon = True
    guard.start()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # the reader is gone or the stream is closed: nothing can be said there any more
    os._exit(code)
