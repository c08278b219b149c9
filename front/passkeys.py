"""WebAuthn: what a browser is asked, and whether its answer is right. A person is verified always, at the exact origins
of our pages. Whether a challenge was ours and unused is the record's business."""

import json
from dataclasses import dataclass
from typing import Any, Final

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from domain.sign_in_errors import ProofRefused
from front.access import RelyingParty
from store.models import Passkey

_REQUIRED: Final = UserVerificationRequirement.REQUIRED
_REFUSED: Final = "This passkey was not accepted."


@dataclass(frozen=True)
class Registered:
    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool
    transports: list[str]


def registration_options(
    party: RelyingParty, *, user_id: str, login: str, name: str, known: list[Passkey], challenge: bytes
) -> dict[str, Any]:
    """What `navigator.credentials.create` is given, as JSON. The key is stored in the authenticator, so that it signs
    in without a login."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="PropOS",
        user_id=user_id.encode(),
        user_name=login,
        user_display_name=name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return _plain(options_to_json(options))


def authentication_options(party: RelyingParty, known: list[Passkey], challenge: bytes) -> dict[str, Any]:
    """What `navigator.credentials.get` is given, as JSON. `known`: of whom; empty: the passkey says who it is."""
    options = generate_authentication_options(
        rp_id=party.id, challenge=challenge, allow_credentials=_descriptors(known), user_verification=_REQUIRED
    )
    return _plain(options_to_json(options))


def registered(party: RelyingParty, credential: dict[str, Any], challenge: bytes) -> Registered:
    """Raises ProofRefused."""
    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise ProofRefused(_REFUSED, remedy="Start again, on this page.") from error
    return Registered(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        backed_up=found.credential_backed_up,
        transports=_transports(credential),
    )


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Raises ProofRefused."""
    try:
        return base64url_to_bytes(credential["rawId"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProofRefused(_REFUSED) from error


def authenticated(party: RelyingParty, credential: dict[str, Any], challenge: bytes, known: Passkey) -> int:
    """Returns the new sign count. A count of 0 is normal; one that goes back is refused. Raises ProofRefused."""
    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise ProofRefused(_REFUSED, remedy="Try again.") from error
    return found.new_sign_count


def _descriptors(known: list[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    ways = {way.value: way for way in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=each.credential_id, transports=[ways[name] for name in each.transports if name in ways] or None
        )
        for each in known
    ]


def _transports(credential: dict[str, Any]) -> list[str]:
    told = credential.get("response", {}).get("transports") or []
    known = {way.value for way in AuthenticatorTransport}
    return [name for name in told if name in known] if isinstance(told, list) else []


def _plain(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
