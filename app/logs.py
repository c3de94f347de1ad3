"""Structured logs: one line an event, JSON in production, and never a phone number or a token in them."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

_PHONE = re.compile(r"\+\d{6,11}(?=\d{4})")
_LINK = re.compile(r"(/p/)[A-Za-z0-9_-]{16,}")
_HEX_TOKEN = re.compile(r"\b[0-9a-f]{64,200}\b")
_BEARER = re.compile(r"\b(ApplePass|AndroidPass|Bearer|bearer)\s+\S+")
_API_KEY = re.compile(r"\bpb_live_\w+")
_SECRET_KEYS = ("password", "secret", "token", "authorization", "pin", "api_key")


def scrub(text: str) -> str:
    """The text without phone numbers (four digits stay), links, push tokens and keys."""
    text = _PHONE.sub("+…", text)
    text = _LINK.sub(r"\1…", text)
    text = _BEARER.sub(r"\1 …", text)
    text = _API_KEY.sub("pb_live_…", text)
    return _HEX_TOKEN.sub(lambda found: f"{found[0][:6]}…", text)


def _scrub_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if any(secret in key.lower() for secret in _SECRET_KEYS):
            event[key] = "…"
        elif isinstance(value, str):
            event[key] = scrub(value)
    return event


def configure(level: str, log_format: str) -> None:
    """Send every log of this process, libraries' included, through one formatter to standard error.

    `log_format`: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                cast("structlog.types.Processor", renderer),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn.access", "httpx2", "httpcore2", "aioapns", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)  # our own access line says it, with less
