"""Business keys of a change of platform. domain/keys.py says what a business key is."""


def hint(change_id: str, state: str) -> str:
    """Asks the workflow of a change of platform to look, once it left `state`."""
    return f"platform_change/{change_id}/{state}"


def account(change_id: str) -> str:
    """The account that a change of platform opens at the next place."""
    return f"{change_id}/account"


def deposit(change_id: str) -> str:
    return f"{change_id}/deposit"


def returned(change_id: str) -> str:
    """The deposit of a change that was abandoned is taken out again."""
    return f"{change_id}/returned"
