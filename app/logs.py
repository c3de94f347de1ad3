"""Structured logs: one line an event, JSON in production, and never a phone number or a token in them."""

import logging
import math
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, cast

import structlog

LONGEST = 20_000  # letters of one value: a traceback fits, a request body does not
_SECRETS = r"password|passwd|psw|secret|api_?key|tokens?|authorization|pin"
# No pattern may begin again inside what it has just walked over: callers choose the paths we log, and one of
# twenty thousand letters would keep the process busy for seconds.
_PATTERNS = (
    (re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://[^\s:/@]*):[^\s/@]+@", re.I), r"\1:…@"),
    (re.compile(r"(/p/|/hooks/[\w-]{1,64}/)[\w%-]{8,}"), r"\1…"),
    (re.compile(r"\b(ApplePass|AndroidPass|Bearer|Basic)\s+[^\s\"',]+", re.I), r"\1 …"),
    (re.compile(r"\bpb_live_\w+"), "pb_live_…"),
    (re.compile(r"(?<![\w-])eyJ[\w-]+(\.[\w-]+)+"), "eyJ…"),  # a JSON Web Token
    (re.compile(rf"((?:{_SECRETS})[\"']?\s*[=:][\s\[\"']*)[^\s\"'&,;}}\]]+", re.I), r"\1…"),
    (re.compile(r"\b([0-9a-f]{6})[0-9a-f]{58,194}\b", re.I), r"\1…"),  # a push token
)
# With its plus however it is spaced, or as eleven to fifteen bare digits. Four digits stay, to compare by.
_PHONE = re.compile(
    r"(?:\+|%2B)\d(?:[ ().-]{0,2}\d){8,14}|(?<![\w.:-])\d{11,15}(?![\w.-])",
    re.I,
)
# A field whose name holds one of these keeps its value to itself.
_HIDDEN = ("password", "passwd", "secret", "token", "authorization", "apikey", "api_key", "api-key", "cookie")
_HIDDEN_ALONE = frozenset({"pin", "psw", "phone", "recipient", "email", "body"})
_OURS = frozenset({"_record", "_from_structlog"})  # what structlog hands to its own formatter
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_BUT_LINES = {code: text for code, text in _CONTROLS.items() if chr(code) not in "\n\t"}


def scrub(text: str) -> str:
    """The text without phone numbers (four digits stay), links, tokens, keys and passwords."""
    text = text[:LONGEST]
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _PHONE.sub(lambda found: f"+…{re.sub(r'[^0-9]', '', found[0])[-4:]}", text)


def _scrub_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key in _OURS else _scrubbed(key, value) for key, value in event.items()}


def _scrubbed(key: str, value: object) -> object:
    """A value as it may be logged, whatever it is made of."""
    name = key.lower()
    if name in _HIDDEN_ALONE or any(hidden in name for hidden in _HIDDEN):
        return "…"
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no NaN
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {scrub(str(each)): _scrubbed(str(each), inner) for each, inner in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed("", inner) for inner in cast("Iterable[object]", value)]
    return scrub(repr(value) if isinstance(value, bytes | BaseException) else str(value))


def _escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Control characters as text: no value may move a terminal's cursor or begin a line of its own."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = value.translate(_BUT_LINES if key == "exception" else _CONTROLS)
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
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    # ensure_ascii: no letter that a terminal or a log collector takes for the end of a line.
    rendering: list[Any] = (
        [structlog.processors.JSONRenderer()] if as_json else [_escape, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first: a line nobody wants costs nothing
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
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
                *rendering,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn.access", "httpx2", "httpcore2", "aioapns", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)  # our own access line says it, with less
