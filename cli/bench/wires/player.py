"""Sends a recorded wire: `python -m cli.bench.wires.player FILE` serves one connection on a free port, which it prints.

The messages from before the feed had caught up are sent at once. The live ones follow, as fast as they are taken, when
a line comes on standard input; the time at which that begins is printed.
"""

import socket
import sys
import time
from pathlib import Path

from cli.bench.wires.recorded import read


def main() -> None:
    _, before, live = read(Path(sys.argv[1]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            connection.sendall(before)
            sys.stdin.readline()
            print(time.time(), flush=True)
            connection.sendall(live)
            sys.stdin.readline()


if __name__ == "__main__":
    main()
