"""Identity checks: made by the firm, completed by a person on a hosted page."""

from typing import Final

from sandbox.instants import MINUTE
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.lists import page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.state import Object, State

_KIND: Final = "identity.verification_session"
_CHECK_TAKES: Final = 2 * MINUTE
_REASON: Final = "The document could not be verified."


def create(call: Call) -> Object:
    params, state = call.params, call.state
    kind = params.choice("type", ("document", "id_number"))
    flow = params.text("verification_flow")
    if kind is None and flow is None:
        raise invalid("Missing required param: type.", "type", "parameter_missing")
    document = params.inside("options").inside("document")
    options = {
        name: value
        for name in ("require_id_number", "require_live_capture", "require_matching_selfie")
        if (value := document.flag(name)) is not None
    }
    document.texts("allowed_types")
    provided = params.inside("provided_details")
    details = {name: provided.text(name) for name in ("email", "phone") if provided.has(name)}
    id = state.new_id("vs")
    made: Object = {
        "id": id,
        "object": _KIND,
        "client_reference_id": params.text("client_reference_id", longest=200),
        "client_secret": f"{id}_secret",
        "created": state.now,
        "last_error": None,
        "last_verification_report": None,
        "livemode": False,
        "metadata": params.metadata(),
        "options": {"document": options} if kind == "document" else {},
        "redaction": None,
        "related_customer": params.text("related_customer"),
        "related_customer_account": None,
        "status": "requires_input",
        "type": kind or "verification_flow",
        "url": f"{state.base_url}/stripe/identity/{id}",
        "_return_url": params.address("return_url"),
        "_verified_outputs": None,
    }
    if details:
        made["provided_details"] = details
    params.finish()
    state.add(made, call.account)
    announce(state, f"{_KIND}.created", made)
    return made


def submit(state: State, found: Object, *, name: str, passes: bool) -> None:
    """A person hands in a document with this name. Market time decides minutes later."""
    if found["status"] != "requires_input":
        return
    found |= {"status": "processing", "_name": name, "_passes": passes, "last_error": None}
    state.save(found)
    announce(state, f"{_KIND}.processing", found)
    state.later(_CHECK_TAKES, "identity.decide", found["id"])


def decide(state: State, id: str) -> None:
    found = state.get(_KIND, id, state.owner(id))
    if found["status"] != "processing":
        return
    found["last_verification_report"] = state.new_id("vr")
    if found["_passes"]:
        first, _, last = found["_name"].rpartition(" ")
        outputs = dict.fromkeys(["address", "dob", "email", "id_number", "id_number_type", "phone", "sex"])
        found |= {
            "status": "verified",
            "url": None,
            "client_secret": None,
            "_verified_outputs": {**outputs, "first_name": first or last, "last_name": last if first else ""},
        }
        announce(state, f"{_KIND}.verified", found)
    else:
        found |= {"status": "requires_input", "last_error": {"code": "document_unverified_other", "reason": _REASON}}
        announce(state, f"{_KIND}.requires_input", found)
    state.save(found)


def list_sessions(call: Call) -> Object:
    return page(call, _KIND, "status", "client_reference_id", "related_customer")


def cancel(call: Call) -> Object:
    found = call.named(_KIND)
    call.params.finish()
    if found["status"] != "requires_input":
        raise ApiError(f"You cannot cancel a VerificationSession with status {found['status']}.")
    found |= {"status": "canceled", "url": None, "client_secret": None}
    call.state.save(found)
    announce(call.state, f"{_KIND}.canceled", found)
    return found
