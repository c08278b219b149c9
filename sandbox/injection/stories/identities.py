"""People who are one person, or stand together, as identity facts show; and facts that many share by chance."""

from sandbox.injection.firm import Firm, Grade
from sandbox.injection.stories.scenes import a_size, count, decoy, link, lives

_TIES = {
    "easy": (("document", "card", "device"), ("device", "card", "ip", "beneficiary"), ("document", "ip", "address")),
    "medium": (("card", "device"), ("beneficiary", "device", "ip"), ("document",)),
    "hard": (("card", "ip"), ("device", "beneficiary"), ("device", "card")),
}


def rings(firm: Firm, grade: Grade) -> None:
    """Two to five owners with the same device, card, beneficiary or document."""
    rng = firm.rng
    story = firm.story(("shared_identity", "copy_trading", "hedging"), grade, "one person, several owners")
    accounts = [firm.names(story, firm.account(size=a_size(firm)), "member") for _ in range(count(firm, 2, 5))]
    kinds = _TIES[grade][int(rng.integers(3))]
    link(firm, accounts, kinds)
    for account in accounts:
        lives(firm, account, rng.uniform(0.5, 2))


def _share(firm: Firm, kind: str, many: int, kinds: tuple[str, ...]) -> None:
    story = decoy(firm, "shared_identity", kind)
    accounts = [firm.names(story, firm.account(size=a_size(firm)), "trader") for _ in range(many)]
    for each in kinds:
        link(firm, accounts, (each,))
    for account in accounts:
        lives(firm, account, 0.8)


def office(firm: Firm) -> None:
    """Colleagues behind the address of an office."""
    _share(firm, "office", count(firm, 8, 20), ("ip",))


def household(firm: Firm) -> None:
    """Two people who live together."""
    _share(firm, "household", 2, ("ip", "address"))


def same_model(firm: Firm) -> None:
    """Owners of identical new computers, whose browsers look the same."""
    _share(firm, "same model of computer", count(firm, 15, 30), ("device",))


def pooled_account(firm: Firm) -> None:
    """Customers who are paid through one payment company."""
    _share(firm, "pooled beneficiary", count(firm, 20, 35), ("beneficiary",))
