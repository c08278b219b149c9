"""What the configured platforms cannot do that a new account needs."""

from collections.abc import Mapping, Sequence

from front.deps import ApiDeps


def lacks_of(deps: ApiDeps) -> Mapping[str, Sequence[str]]:
    """Returns sentences by platform: none for one that can take an account."""
    return {each.name: each.capabilities.missing_for_new_accounts() for each in deps.platforms}
