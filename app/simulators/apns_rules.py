"""How the APNs simulator judges a request: the reasons of Apple's table, in the order APNs finds them."""

import json
import re
from uuid import UUID

PAYLOAD_BYTES_MAX = 4096
_PATH = re.compile(r"/3/device/([^/]*)")
_PUSH_TOKEN = re.compile(r"(?:[0-9A-Fa-f]{2}){32,100}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]+")
_PUSH_TYPE = re.compile(
    "alert|background|complication|controls|fileprovider|liveactivity|location|mdm|pushtotalk|voip"
)


def fault_in_request(headers: dict[str, str], body: bytes, topics: set[str]) -> str | None:
    """APNs' reason to refuse a request, such as "BadDeviceToken"; None if it is in order."""
    if headers[":method"] != "POST":
        return "MethodNotAllowed"
    path = _PATH.fullmatch(headers[":path"])
    if path is None:
        return "BadPath"
    return (
        _fault_in_headers(headers)
        or _fault_in_topic(headers.get("apns-topic"), topics)
        or _fault_in_token(path[1])
        or _fault_in_payload(body)
    )


def _fault_in_headers(headers: dict[str, str]) -> str | None:
    if "apns-id" in headers and not _is_uuid(headers["apns-id"]):
        return "BadMessageId"
    if headers.get("apns-priority", "10") not in ("1", "5", "10"):
        return "BadPriority"
    if not headers.get("apns-expiration", "0").isdigit():
        return "BadExpirationDate"
    if not _PUSH_TYPE.fullmatch(headers.get("apns-push-type", "alert")):
        return "InvalidPushType"
    return None


def _fault_in_topic(topic: str | None, topics: set[str]) -> str | None:
    if topic is None:
        return "MissingTopic"
    if not _TOPIC.fullmatch(topic):
        return "BadTopic"
    return None if topic in topics else "TopicDisallowed"


def _fault_in_token(push_token: str) -> str | None:
    if not push_token:
        return "MissingDeviceToken"
    return None if _PUSH_TOKEN.fullmatch(push_token) else "BadDeviceToken"


def _fault_in_payload(body: bytes) -> str | None:
    if len(body) > PAYLOAD_BYTES_MAX:
        return "PayloadTooLarge"
    try:
        payload: object = json.loads(body)
    except ValueError:
        return "PayloadEmpty"
    return None if isinstance(payload, dict) else "PayloadEmpty"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
