"""Connected accounts of payees: made by the firm, completed by the payee on a hosted page."""

import re
from typing import Final, Literal

from sandbox.instants import SECOND, iso
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.lists import listing, page
from sandbox.stripe.objects.events import announce, announce_thin
from sandbox.stripe.state import PLATFORM, Object, State

_LINK_LIFE_S: Final = 300
_UNSUPPORTED: Final = ("CU", "IR", "KP", "SY")
_CURRENCIES: Final = {"US": "usd", "GB": "gbp", "CH": "chf", "CA": "cad", "AU": "aud", "JP": "jpy", "SG": "sgd"}
_ASKED: Final = ("external_account", "individual.dob.day", "individual.id_number", "tos_acceptance.date")
_THIN_REQUIREMENTS: Final = "v2.core.account[requirements].updated"
_THIN_CAPABILITY: Final = "v2.core.account[configuration.recipient].capability_status_updated"
Stage = Literal["asked", "ready", "restricted"]


def create(call: Call) -> Object:
    params, state = call.params, call.state
    kind = params.choice("type", ("express", "custom", "standard"))
    country = params.text("country") or "US"
    if not re.fullmatch(r"[A-Z]{2}", country) or country in _UNSUPPORTED:
        raise ApiError(f"{country} is not currently supported by Stripe.", code="country_unsupported", param="country")
    controller, asked = _controller(call), _capabilities(call)
    currency = (params.text("default_currency") or _CURRENCIES.get(country, "eur")).lower()
    made: Object = {
        "id": state.new_id("acct"),
        "object": "account",
        "business_profile": {**_texts(call, "business_profile"), "support_address": None},
        "business_type": params.choice("business_type", ("individual", "company", "non_profit", "government_entity")),
        "capabilities": dict.fromkeys(asked, "inactive"),
        "charges_enabled": False,
        "controller": controller,
        "country": country,
        "created": state.now,
        "default_currency": currency,
        "details_submitted": False,
        "email": params.text("email", longest=800),
        "external_accounts": listing("/v1/accounts/external_accounts", []),
        "future_requirements": _requirements("ready"),
        "metadata": params.metadata(),
        "payouts_enabled": False,
        "requirements": _requirements("asked"),
        "settings": _settings(call, {}),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None, **_texts(call, "tos_acceptance")},
        "type": kind or "none",
    }
    params.ignore("individual", "company")
    params.finish()
    made["external_accounts"]["url"] = f"/v1/accounts/{made['id']}/external_accounts"
    state.add(made)
    return made


def _controller(call: Call) -> Object:
    given = call.params.inside("controller")
    dashboard = given.inside("stripe_dashboard").choice("type", ("express", "full", "none")) or "express"
    fees = given.inside("fees").text("payer") or "application"
    losses = given.inside("losses").text("payments") or "application"
    collection = given.text("requirement_collection") or "stripe"
    return {
        "fees": {"payer": fees},
        "is_controller": True,
        "losses": {"payments": losses},
        "requirement_collection": collection,
        "stripe_dashboard": {"type": dashboard},
        "type": "application",
    }


def _capabilities(call: Call) -> list[str]:
    """Returns the requested capabilities."""
    given = call.params.inside("capabilities")
    names = ("transfers", "card_payments", "us_bank_account_ach_payments", "sepa_debit_payments")
    return [name for name in names if given.inside(name).flag("requested")]


def _texts(call: Call, name: str) -> Object:
    given = call.params.inside(name)
    names = ("mcc", "name", "product_description", "support_email", "support_phone", "url", "date", "ip", "user_agent")
    return {key: given.text(key) for key in (*names, "service_agreement") if given.has(key)}


def _settings(call: Call, known: Object) -> Object:
    given = call.params.inside("settings")
    payouts = given.inside("payouts")
    schedule = payouts.inside("schedule")
    interval = schedule.choice("interval", ("manual", "daily", "weekly", "monthly"))
    schedule.ignore("delay_days")
    payouts.ignore("debit_negative_balances", "statement_descriptor")
    given.ignore("branding", "dashboard")
    before = known.get("payouts", {}).get("schedule", {}).get("interval", "daily")
    return _settings_with(interval or before)


def _settings_with(interval: str) -> Object:
    return {
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": interval},
            "statement_descriptor": None,
        },
    }


def _requirements(stage: Stage) -> Object:
    asked = [] if stage == "ready" else list(_ASKED)
    reason = {"asked": "requirements.past_due", "ready": None, "restricted": "rejected.other"}[stage]
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": asked,
        "disabled_reason": reason,
        "errors": [],
        "eventually_due": asked,
        "past_due": [],
        "pending_verification": [],
    }


def set_stage(state: State, found: Object, stage: Stage) -> None:
    """The payee completed the account, or the provider asks again or restricts it."""
    ready = stage == "ready"
    capability = "active" if ready else "inactive"
    found |= {"requirements": _requirements(stage), "payouts_enabled": ready}
    found["details_submitted"] = found["details_submitted"] or ready
    found["capabilities"] = dict.fromkeys(found["capabilities"], capability)
    if ready and not found["external_accounts"]["data"]:
        found["external_accounts"]["data"].append(_bank_account(state, found))
    state.save(found)
    announce(state, "account.updated", found, account=found["id"])
    announce(state, "capability.updated", _capability(found), account=found["id"])
    announce_thin(state, _THIN_REQUIREMENTS, found)
    announce_thin(state, _THIN_CAPABILITY, found)


def _bank_account(state: State, found: Object) -> Object:
    return {
        "id": state.new_id("ba"),
        "object": "bank_account",
        "account": found["id"],
        "account_holder_name": None,
        "account_holder_type": "individual",
        "account_type": None,
        "bank_name": "STRIPE TEST BANK",
        "country": found["country"],
        "currency": found["default_currency"],
        "default_for_currency": True,
        "fingerprint": None,
        "last4": "6789",
        "metadata": {},
        "routing_number": "110000000",
        "status": "new",
    }


def _capability(found: Object) -> Object:
    return {
        "id": "transfers",
        "object": "capability",
        "account": found["id"],
        "requested": "transfers" in found["capabilities"],
        "requested_at": found["created"],
        "requirements": found["requirements"],
        "status": found["capabilities"].get("transfers", "unrequested"),
        "_account": found["id"],
    }


# calls


def own(call: Call) -> Object:
    """Returns the account of the key, or of the header Stripe-Account."""
    call.params.finish()
    if call.account:
        return call.state.get("account", call.account)
    return {
        "id": PLATFORM,
        "object": "account",
        "business_profile": {"name": "The firm"},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": 0,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "firm@example.com",
        "external_accounts": listing(f"/v1/accounts/{PLATFORM}/external_accounts", []),
        "future_requirements": _requirements("ready"),
        "metadata": {},
        "payouts_enabled": True,
        "requirements": _requirements("ready"),
        "settings": _settings_with("manual"),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def retrieve(call: Call) -> Object:
    call.params.finish()
    if call.id == PLATFORM:
        return own(call)
    return call.state.get("account", call.id)


def update(call: Call) -> Object:
    found, params = call.state.get("account", call.id), call.params
    changed = {
        "metadata": params.metadata(found["metadata"]),
        "email": params.text("email", longest=800) or found["email"],
        "business_profile": {**found["business_profile"], **_texts(call, "business_profile")},
        "settings": _settings(call, found["settings"]),
    }
    asked = _capabilities(call)
    params.ignore("individual", "company", "business_type")
    params.finish()
    status = "active" if found["payouts_enabled"] else "inactive"
    changed["capabilities"] = {**dict.fromkeys(asked, status), **found["capabilities"]}
    found |= changed
    call.state.save(found)
    announce(call.state, "account.updated", found, account=found["id"])
    return found


def list_accounts(call: Call) -> Object:
    return page(call, "account")


def delete(call: Call) -> Object:
    found = call.state.get("account", call.id)
    call.params.finish()
    call.state.remove(found["id"])
    return {"id": found["id"], "object": "account", "deleted": True}


def create_link(call: Call) -> Object:
    params, state = call.params, call.state
    found = state.get("account", params.required("account"), param="account", status=400)
    kind = params.choice("type", ("account_onboarding", "account_update"))
    refresh, back = params.address("refresh_url"), params.address("return_url")
    params.ignore("collect", "collection_options")
    params.finish()
    if kind is None:
        raise invalid("Missing required param: type.", "type", "parameter_missing")
    if refresh is None or back is None:
        raise invalid("You must provide `refresh_url` and `return_url`.", "return_url", "parameter_missing")
    link = {
        "id": state.new_id("link"),
        "object": "account_link",
        "created": state.now,
        "expires_at": state.now + _LINK_LIFE_S,
        "_refresh_url": refresh,
        "_return_url": back,
        "_for": found["id"],
    }
    link["url"] = f"{state.base_url}/stripe/onboarding/{link['id']}"
    state.add(link)
    state.later(_LINK_LIFE_S * SECOND, "link.forget", link["id"])
    return {name: value for name, value in link.items() if name != "id"}


def forget_link(state: State, id: str) -> None:
    state.remove(id)


def retrieve_v2(call: Call) -> Object:
    """Returns a connected account in the form of the second API, with the parts that `include` names."""
    found = call.state.get("account", call.id)
    include = call.params.texts("include")
    call.params.finish()
    answer = {
        "id": found["id"],
        "object": "v2.core.account",
        "applied_configurations": ["recipient"],
        "configuration": None,
        "contact_email": found["email"],
        "created": iso(found["created"] * SECOND),
        "dashboard": found["controller"]["stripe_dashboard"]["type"],
        "display_name": found["business_profile"].get("name"),
        "livemode": False,
        "metadata": found["metadata"],
        "requirements": None,
    }
    if "configuration.recipient" in include:
        status = "active" if found["payouts_enabled"] else "restricted"
        transfers = {"requested": True, "status": status, "status_details": []}
        answer["configuration"] = {"recipient": {"capabilities": {"stripe_balance": {"stripe_transfers": transfers}}}}
    if "requirements" in include:
        entries = [
            {"description": name, "awaiting_action_from": "user", "errors": []}
            for name in found["requirements"]["currently_due"]
        ]
        answer["requirements"] = {"entries": entries, "summary": None}
    return answer
