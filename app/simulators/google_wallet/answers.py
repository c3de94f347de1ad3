"""What the API is asked and what it answers: calls, replies, and the envelope of a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ISSUER_ID = "3388000000022141777"  # beyond 2**53, as real ones are: a float would spoil it

Body = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request, alone or as a part of a batch. `path` is what follows /walletobjects/v1/."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Body | None = None
    authorization: str = ""


@dataclass(frozen=True)
class Reply:
    status: int
    body: Body


class Refused(Exception):
    """A request that is answered with an error: an HTTP status, Google's reason, and words."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "walletobjects") -> None:
        super().__init__(message)
        self.reply = Reply(
            status,
            {
                "error": {
                    "code": status,
                    "message": message,
                    "errors": [{"message": message, "domain": domain, "reason": reason}],
                }
            },
        )


def bad_request(message: str, reason: str = "badRequest") -> Refused:
    return Refused(400, reason, message)


def not_found(kind: str, resource_id: str) -> Refused:
    reason = "classNotFound" if kind.endswith("Class") else "resourceNotFound"
    return Refused(404, reason, f"{kind} {resource_id} not found.")
