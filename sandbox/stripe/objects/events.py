"""Events: snapshots of objects, and thin events that only name an account. They are kept for 30 days."""

from typing import Final

from sandbox.instants import DAY, iso
from sandbox.stripe.calls import Call
from sandbox.stripe.lists import page
from sandbox.stripe.state import API_VERSION, Object, State, shown

_KEPT: Final = 30 * DAY


def announce(state: State, type: str, about: Object, *, account: str | None = None) -> None:
    """Record an event with a copy of `about`. `account`: the connected account that it happened on."""
    owner = about["_account"] if account is None else account
    event = {
        "id": state.new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": state.now,
        "data": {"object": shown(about)},
        "livemode": False,
        "pending_webhooks": 0,
        "request": dict(state.request),
        "type": type,
    }
    if owner:
        event["account"] = owner
    _keep(state, event, "connect" if owner else "account", owner)


def announce_thin(state: State, type: str, account: Object) -> None:
    """Record a thin event about a connected account."""
    event = {
        "id": state.new_id("evt_test"),
        "object": "v2.core.event",
        "changes": None,
        "context": None,
        "created": iso(state.now_us),
        "livemode": False,
        "reason": None,
        "related_object": {
            "id": account["id"],
            "type": "v2.core.account",
            "url": f"/v2/core/accounts/{account['id']}",
        },
        "type": type,
    }
    _keep(state, event, "thin", "")


def _keep(state: State, event: Object, kind: str, account: str) -> None:
    hooks = state.hook(event["id"], kind, event["type"])
    if "pending_webhooks" in event:
        event["pending_webhooks"] = hooks
    state.add(event, account)
    state.events_made += 1
    state.later(_KEPT, "event.forget", event["id"])


def forget(state: State, id: str) -> None:
    state.remove(id)


def list_events(call: Call) -> Object:
    types = set(call.params.texts("types"))
    call.params.ignore("delivery_success")
    return page(call, "event", "type", tests=(lambda event: not types or event["type"] in types,))


def thin_event(call: Call) -> Object:
    call.params.finish()
    return {**call.named("v2.core.event"), "data": {}}


def list_thin_events(call: Call) -> Object:
    """Returns the newest thin events of one object, or of all. `page`: the last event id of the page before."""
    params, state = call.params, call.state
    about, types, last = params.text("object_id"), set(params.texts("types")), params.text("page")
    limit = params.integer("limit", least=1, most=100) or 20
    since = params.inside("created").text("gte") if params.is_object("created") else None
    params.finish()
    before = None if last is None else int(state.get("v2.core.event", last, param="page", status=400)["_number"])
    fitting = [
        shown(one)
        for one in state.newest_first("v2.core.event", "", {}, before=before)
        if about in (None, one["related_object"]["id"])
        and (not types or one["type"] in types)
        and (since is None or one["created"] >= since)
    ]
    more = len(fitting) > limit
    following = f"/v2/core/events?limit={limit}&page={fitting[limit - 1]['id']}" if more else None
    if following is not None and about is not None:
        following += f"&object_id={about}"
    return {"data": fitting[:limit], "next_page_url": following, "previous_page_url": None}
