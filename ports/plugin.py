"""What an entry point (`propos.platforms`, `propos.acquirers` ...) names: an adapter and how it is configured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from ports.venue import VenueFeed

S = TypeVar("S", bound=BaseModel)  # the adapter's settings
C = TypeVar("C")  # its capabilities
A = TypeVar("A")  # what it builds


@dataclass(frozen=True)
class Plugin(Generic[S, C, A]):
    """`settings`: the model of the adapter's settings, secrets as SecretStr. Every field arrives as a text.
    `build(name, settings)`: the adapter under the name that the firm gave it. It connects on first use, so that a
    process starts while the other side is down. `feed(name, settings)`: of a platform that is read through a gateway,
    what the gateway reads; None for any other adapter."""

    settings: type[S]
    capabilities: C
    build: Callable[[str, S], A]
    feed: Callable[[str, S], VenueFeed] | None = None
