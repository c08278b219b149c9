"""Appends to a journal without end and prints each number once it is stored: `python -m tests.contract.journal_writer
ADDRESS`."""

import sys
from pathlib import Path

from adapters.journals.embedded import EmbeddedJournal
from adapters.journals.redis_streams import RedisJournal
from ports.journal import Journal, Stored


def open_journal(address: str) -> Journal:
    """`address`: a file, or the URL of a Redis."""
    return RedisJournal(address, "live") if "://" in address else EmbeddedJournal(Path(address))


def main() -> None:
    journal = open_journal(sys.argv[1])
    while True:
        number = journal.last() + 1
        body = f'{{"number":{number}}}'
        journal.append(Stored(number, body.encode()), {"position": str(number), f"fill/{number}": body})
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
