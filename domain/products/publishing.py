"""Two people put a product version on sale, and two people move accounts to another version: states and checks."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from domain.approvals import DECIDERS, Actor, Subject, Vote, approvals_that_count
from domain.errors import BadInput, Conflict, NotAllowed
from domain.file_errors import ProductInvalid
from domain.products.checks import floors_not_sold, not_applied, prices_not_sold
from domain.products.product import Product
from domain.states import StateMachine

APPROVERS_NEEDED: Final = 1  # beside the proposer, who never counts

PROPOSAL: Final = StateMachine(
    noun="product proposal",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "approved",
        ("proposed", "proposal_rejected"): "rejected",
        ("proposed", "proposal_withdrawn"): "withdrawn",
        ("approved", "proposal_rejected"): "rejected",
        ("approved", "proposal_withdrawn"): "withdrawn",
        ("approved", "version_published"): "on_sale",
    },
    transient=frozenset(),
)

ACCOUNT_MOVE: Final = StateMachine(
    noun="account move",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "approved",
        ("proposed", "move_rejected"): "rejected",
        ("proposed", "move_withdrawn"): "withdrawn",
        ("approved", "move_completed"): "done",
    },
    transient=frozenset(),
)


def content_hash(terms: dict[str, object]) -> str:
    """Returns the hash of stored terms without reading them by today's schema: `Product.content_hash` of their day."""
    return hashlib.sha256(_canonical(terms)).hexdigest()


def proposal_digest(*, proposal_id: str, terms: dict[str, object], base_version: int | None) -> str:
    """Returns the digest of what is approved: these terms, compared with that version."""
    return _digest({"v": 1, "proposal": proposal_id, "terms": content_hash(terms), "base": base_version})


def move_digest(*, move_id: str, product: str, from_version: int, to_version: int, accounts: Iterable[str]) -> str:
    """Returns the digest of what is approved: these accounts, from this version to that one."""
    named = sorted(accounts)
    return _digest({"v": 1, "move": move_id, "product": product, "versions": [from_version, to_version], "of": named})


def _canonical(body: object) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def check_may_propose(subject: Subject, actor: Actor) -> None:
    """Checks that the actor may propose: the roles that decide may propose. Raises NotAllowed."""
    if actor.role not in DECIDERS[subject]:
        names = " or ".join(sorted(DECIDERS[subject]))
        raise NotAllowed(f"Proposing this needs the role {names}; yours is {actor.role}.")


def check_next_version(product: Product, newest: int | None) -> None:
    """Checks that versions have no gaps. Raises ProductInvalid."""
    wanted = (newest or 0) + 1
    if product.version != wanted:
        on_sale = f"version {newest} is on sale" if newest else "it is not on sale yet"
        raise ProductInvalid(
            f"version: {product.product} {product.version} cannot be the next version: {on_sale}.",
            field="version",
            remedy=f"Propose it as version {wanted}.",
        )


def check_applied(product: Product) -> None:
    """That the product promises nothing that is not applied to running accounts; raises ProductInvalid."""
    for where, problem in (*not_applied(product), *floors_not_sold(product.places(), product.initial_minors)):
        field = ".".join(str(step) for step in where)
        raise ProductInvalid(f"{field}: {problem}.", field=field, remedy="Propose the version without it.")
    for where, problem in prices_not_sold(product.prices(), product.currency):
        field = ".".join(str(step) for step in where)
        raise ProductInvalid(f"{field}: {problem}.", field=field, remedy="Propose the version with another price.")
    for add_on in product.add_ons:
        check_applied(product.with_add_ons((add_on,)))


def check_approved(subject: Subject, votes: Iterable[Vote], *, proposer_person: str, digest: str) -> None:
    """Checks that a second person, with a role that still allows it, approved exactly this. Raises Conflict."""
    counted = approvals_that_count(subject, votes, requester_person=proposer_person, digest=digest)
    if counted < APPROVERS_NEEDED:
        raise Conflict(
            "No second person has approved this.",
            remedy="Ask somebody to approve it who did not propose it and has a role that allows it now.",
        )


def check_movable(old: Product, new: Product) -> None:
    """Checks that an account can continue under `new`. Raises BadInput with the field that differs and the remedy."""
    remedy = "Sell the new version to new customers, and let these accounts end under their own version."
    if old.ref == new.ref:
        raise BadInput("The accounts already have that version.", field="to", remedy="Choose another version.")
    for field, was, becomes in (
        ("product", old.product, new.product),
        ("family", old.family, new.family),
        ("currency", old.currency, new.currency),
        ("phases", str(len(old.phases)), str(len(new.phases))),
        ("initial_balance", old.sizes, new.sizes),
    ):
        if was != becomes:
            raise BadInput(
                f"Accounts cannot move from {old.ref} to {new.ref}: {field} is {was} there and {becomes} here.",
                field=field,
                remedy=remedy,
            )
