"""Calls that are the same for many kinds of objects."""

from collections.abc import Callable

from sandbox.stripe.calls import Call
from sandbox.stripe.objects.events import announce
from sandbox.stripe.state import Object


def retrieve(kind: str) -> Callable[[Call], Object]:
    def work(call: Call) -> Object:
        call.params.finish()
        return call.named(kind)

    return work


def update(kind: str, *, tells: str = "", described: bool = False) -> Callable[[Call], Object]:
    """Changes the metadata, and with `described` the description too. `tells`: the event that says so, if any."""

    def work(call: Call) -> Object:
        made = call.named(kind)
        changed: Object = {"metadata": call.params.metadata(made["metadata"])}
        if described and call.params.has("description"):
            changed["description"] = call.params.text("description")
        call.params.finish()
        made |= changed
        call.state.save(made)
        if tells:
            announce(call.state, tells, made)
        return made

    return work
