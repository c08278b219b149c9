"""How a stack is started, and its parts as people see them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Quotes:
    """The quotes of the sandbox: recorded quotes of one day from `directory`, or a seeded price model without it.

    `speed`: market seconds per wall second. None with recorded quotes: market time moves only by
    `POST /market/advance` (lockstep).
    """

    directory: Path | None = None
    symbols: tuple[str, ...] = ()
    date: str | None = None
    speed: float | None = None


@dataclass(frozen=True)
class StackOptions:
    """How to start a stack. None: the environment decides."""

    data_dir: Path | None = None
    api_port: int | None = None
    quotes: Quotes = Quotes()
    seed: int = 7
    any_ports: bool = False  # use free ports for everything, to run beside another stack
    policy: Path | None = None  # of payouts, unless PROPOS_POLICY names one
    simulated_people: bool = False  # any number of them may sign up from this machine at once
    web_ui: bool = True  # serve Temporal's own web UI
    venues: tuple[str, ...] = ()  # fakes of real platforms that follow the sandbox: see cli.stack.venues
    products: tuple[str, ...] = ()  # which are sold on each of them too
    rehearsal: bool = False  # nothing waits for the disk: a crash of this machine may lose the last second
    tolerant: bool = False  # continue when a worker, monitor, relay or API does not start; its start is repeated


@dataclass(frozen=True)
class Part:
    """One part of the firm as people see it. `problem`: why it is not healthy; its start is repeated."""

    name: str
    address: str
    seconds: float
    problem: str = ""
