"""The main password of an account: what its trader signs in with."""

from pydantic import SecretStr

from adapters.mt5 import accounts, marks, names, shapes
from adapters.mt5.config import Mt5Settings
from adapters.mt5.outcomes import WHO
from adapters.mt5.session import Session
from domain.errors import OutcomeUnknown, PropOSError
from ports.credentials import SignIn


async def set_password(
    session: Session, settings: Mt5Settings, login: int, kind: marks.Kind, key: str, password: SecretStr
) -> SignIn:
    """Gives the account this password, unless its record remembers that this was done. Raises NotFound, and BadInput
    for a password that the server does not take."""
    mark = marks.value_of(kind, key)
    user = shapes.User.model_validate(await accounts.read(session, login))
    if not accounts.holds(user, settings, mark):
        query: dict[str, str | int] = {"login": login, "type": names.MAIN_PASSWORD}
        body = {"Password": password.get_secret_value()}
        await session.ask("/api/user/change_password", query, body=body, changing=True)
        try:
            await accounts.change(session, settings, login, mark=mark)
        except PropOSError:
            raise OutcomeUnknown(
                f"{WHO} has the new password of {login}, and its record does not say so.", remedy="Repeat it."
            ) from None
    return SignIn(str(login))
