"""One call of the API."""

from dataclasses import dataclass

from sandbox.stripe.forms import Params
from sandbox.stripe.state import Object, State


@dataclass(frozen=True)
class Call:
    """`path`: its address, `ids`: the ids in it. `account`: from the header Stripe-Account, "" for the platform."""

    state: State
    path: str
    ids: tuple[str, ...]
    params: Params
    account: str

    @property
    def id(self) -> str:
        return self.ids[0]

    def named(self, kind: str) -> Object:
        """Returns the object that the address names."""
        return self.state.get(kind, self.id, self.account)
