"""The REST API: every method of classes and objects, of the issuer and its permissions. Knows no HTTP."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from app.simulators.google_wallet.answers import ISSUER_ID, Body, Call, Refused, Reply, bad_request, not_found
from app.simulators.google_wallet.notifying import (
    MESSAGES_MAX,
    Cause,
    DailyQuota,
    added_messages,
    asks_to_ring,
    over_quota,
    rings_by_fields,
)
from app.simulators.google_wallet.resources import (
    KINDS,
    Store,
    check_id,
    check_review,
    check_whole,
    is_class,
    known_fields,
    merged,
)

_PATH = re.compile(rf"((?:{'|'.join(KINDS)})(?:Class|Object))(?:/([^/]+))?(?:/(addMessage))?")

Changed = Callable[[str, Body], None]
Rang = Callable[[str, Cause, Body], None]


class WalletApi:
    """Answers calls from the store. `on_changed` hears of each write, `on_rang` of each notification."""

    def __init__(self, store: Store, *, on_changed: Changed, on_rang: Rang) -> None:
        self.store = store
        self.callback_url: str | None = None  # of the issuer; a class may have its own
        self._quota = DailyQuota()
        self._on_changed = on_changed
        self._on_rang = on_rang

    def answer(self, call: Call, now: datetime) -> Reply:
        """What this call is answered. Raises Refused."""
        if call.method == "GET" and call.path == f"issuer/{ISSUER_ID}":
            return Reply(200, {"issuerId": ISSUER_ID, "name": "Passbell"})
        match = _PATH.fullmatch(call.path)
        if match is None:
            raise Refused(404, "notFound", f"The requested URL /{call.path} was not found.", domain="global")
        kind, resource_id, action = match.groups()
        if resource_id is None:
            return self._on_collection(call, kind, now)
        check_id(resource_id, ISSUER_ID)
        methods = {
            ("GET", None): self._get,
            ("PATCH", None): self._patch,
            ("PUT", None): self._update,
            ("POST", "addMessage"): self._add_message,
        }
        method = methods.get((call.method, action))
        if method is None:
            raise Refused(405, "httpMethodNotAllowed", f"{call.method} is not possible.", domain="global")
        return Reply(200, _only(call.query, method(kind, resource_id, call.body or {}, now)))

    def _on_collection(self, call: Call, kind: str, now: datetime) -> Reply:
        if call.method == "GET":
            return Reply(200, self.store.page(kind, call.query))
        if call.method != "POST":
            raise Refused(405, "httpMethodNotAllowed", f"{call.method} is not possible.", domain="global")
        return Reply(200, self.insert(kind, call.body or {}, now))

    def insert(self, kind: str, given: Body, now: datetime) -> Body:
        """Store a new resource. Raises Refused, with 409 when its id is taken."""
        body = known_fields(kind, given)
        resource_id = check_id(body.get("id"), ISSUER_ID)
        if self.store.kind_of(resource_id) is not None:
            raise Refused(409, "alreadyExists", f"{kind} {resource_id} already exists.")
        check_review(kind, body, is_new=True)
        check_whole(self.store, kind, body)
        return self._stored(kind, {}, _without_asking(body))

    def _get(self, kind: str, resource_id: str, _body: Body, _now: datetime) -> Body:
        return self.store.get(kind, resource_id)

    def _patch(self, kind: str, resource_id: str, given: Body, now: datetime) -> Body:
        before = self.store.get(kind, resource_id)
        patch = known_fields(kind, given)
        check_review(kind, patch, is_new=False)
        return self._write(kind, before, merged(before, patch), now)

    def _update(self, kind: str, resource_id: str, given: Body, now: datetime) -> Body:
        before = self.store.get(kind, resource_id)
        body = known_fields(kind, given) | {"id": resource_id}
        check_review(kind, body, is_new=False)
        kept = {"hasUsers": before["hasUsers"]} if "hasUsers" in before else {}
        return self._write(kind, before, body | kept, now)

    def _write(self, kind: str, before: Body, after: Body, now: datetime) -> Body:
        asks = after.pop("notifyPreference", None) == "NOTIFY_ON_UPDATE"
        if len(after.get("messages", [])) > MESSAGES_MAX:
            raise bad_request(f"At most {MESSAGES_MAX} messages are allowed.")
        check_whole(self.store, kind, after)
        added = added_messages(before, after)
        stored = self._stored(kind, before, after)
        if asks and rings_by_fields(kind, before, after):
            self._ring(after, "field", {}, now)
        for message in added:
            self._ring(after, "message", message, now)
        return stored

    def _stored(self, kind: str, before: Body, body: Body) -> Body:
        if is_class(kind) and "reviewStatus" in body:
            body["reviewStatus"] = "APPROVED" if body["reviewStatus"] == "UNDER_REVIEW" else "DRAFT"
        if not is_class(kind):
            body.setdefault("hasUsers", False)
        body["version"] = str(int(before.get("version", "0")) + 1)
        self.store.put(kind, body)
        self._on_changed(kind, body)
        return self.store.get(kind, body["id"])

    def _add_message(self, kind: str, resource_id: str, given: Body, now: datetime) -> Body:
        body = self.store.get(kind, resource_id)
        message = known_fields(kind, {"messages": [given.get("message") or {}]})["messages"][0]
        if not message.get("body") and not message.get("localizedBody"):
            raise bad_request("Message body must be set.")
        messages = [*body.get("messages", []), message]
        if len(messages) > MESSAGES_MAX:
            raise bad_request(f"At most {MESSAGES_MAX} messages are allowed.")
        if asks_to_ring(message) and not self._quota.is_free(resource_id, "message", now):
            raise over_quota(kind, ISSUER_ID, resource_id)
        self.store.put(kind, body | {"messages": messages})
        self._on_changed(kind, body)
        if asks_to_ring(message):
            self._ring(body, "message", message, now)
        return {"resource": self.store.get(kind, resource_id)}

    def _ring(self, body: Body, cause: Cause, message: Body, now: datetime) -> None:
        """Ring the holders, if there is quota left; a field update beyond it is shown in silence."""
        if self._quota.is_free(body["id"], cause, now):
            self._quota.count(body["id"], cause, now)
            self._on_rang(body["id"], cause, message)

    def set_users(self, kind: str, object_id: str, *, has_users: bool) -> None:
        """Note that somebody holds an object, or that nobody does any more."""
        self.store.put(kind, self.store.get(kind, object_id) | {"hasUsers": has_users})

    def saved_by_link(self, payload: Mapping[str, list[Body]], now: datetime) -> list[tuple[str, str]]:
        """The (kind, id) of the objects of a save link; whole bodies are inserted. Raises Refused."""
        for kind in (f"{each}Class" for each in KINDS):
            for body in payload.get(f"{kind}es", []):
                self._insert_unless_known(kind, body, now)
        saved: list[tuple[str, str]] = []
        for kind in (f"{each}Object" for each in KINDS):
            for body in payload.get(f"{kind}s", []):
                self._insert_unless_known(kind, body, now)
                saved.append((kind, body["id"]))
        if not saved:
            raise not_found("object", "of the link")
        return saved

    def _insert_unless_known(self, kind: str, body: Body, now: datetime) -> None:
        if self.store.kind_of(str(body.get("id"))) is None:
            self.insert(kind, body, now)


def _only(query: Mapping[str, str], body: Body) -> Body:
    """A partial answer: the top level fields that "?fields=id,messages" names."""
    if "fields" not in query:
        return body
    return {key: value for key, value in body.items() if key in query["fields"].split(",")}


def _without_asking(body: Body) -> Body:
    return {key: value for key, value in body.items() if key != "notifyPreference"}
