"""Comparing what a sender offers as proof with what is right, in constant time."""

import hmac
from collections.abc import Sequence


def is_among(given: str, right: Sequence[str]) -> bool:
    """Whether a text is one of those. Every comparison is made, so the time tells nothing."""
    return any([hmac.compare_digest(given.encode(errors="replace"), each.encode()) for each in right])
