"""Opening a .pkpass as iOS does: unpack it, check every hash and the signature, read pass.json.

iOS says nothing when it refuses a pass. Here the reason is the exception's text.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import orjson
from cryptography import x509

from app.simulators.iphone.signature import BadSignature, verify
from app.wallets.apple.certificates import identifiers_of

ARCHIVE_BYTES_MAX, FILES_MAX, UNPACKED_BYTES_MAX = 10_000_000, 200, 40_000_000
TOKEN_CHARACTERS_MIN = 16
STYLES = ("boardingPass", "coupon", "eventTicket", "generic", "storeCard")
_REQUIRED = ("passTypeIdentifier", "teamIdentifier", "serialNumber", "organizationName", "description")
_ICON = re.compile(r"icon(@[23]x)?\.png")
# W3C date-times: no milliseconds, the offset with a colon. Anything else makes the whole pass unreadable.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")

Json = dict[str, Any]


class RefusedPass(Exception):
    """iOS would not add this pass; the text says why."""


@dataclass(frozen=True)
class OpenedPass:
    """A pass that was checked: what pass.json says, and the other files by path."""

    pass_json: Json
    files: Mapping[str, bytes]

    @property
    def serial_number(self) -> str:
        return self.pass_json["serialNumber"]

    @property
    def pass_type_identifier(self) -> str:
        return self.pass_json["passTypeIdentifier"]

    @property
    def web_service_url(self) -> str | None:
        return self.pass_json.get("webServiceURL")

    @property
    def authentication_token(self) -> str:
        return self.pass_json.get("authenticationToken", "")

    @property
    def style(self) -> str:
        return next(style for style in STYLES if style in self.pass_json)

    def fields(self) -> Iterator[Json]:
        """Every field, in the order they stand in pass.json."""
        for group in self.pass_json[self.style].values():
            if isinstance(group, list):
                yield from cast("list[Json]", group)

    def is_grey(self, now: datetime) -> bool:
        """Whether Wallet shows it as used up: voided, or past its date."""
        expires = self.pass_json.get("expirationDate")
        return self.pass_json.get("voided") is True or (
            expires is not None and datetime.fromisoformat(expires) <= now
        )


def open_pass(data: bytes, *, trusted: x509.Certificate, now: datetime) -> OpenedPass:
    """The pass in an archive, everything checked. Raises RefusedPass."""
    files = unpack(data)
    for name in ("pass.json", "manifest.json", "signature"):
        if name not in files:
            raise RefusedPass(f"{name} is missing")
    _check_hashes(files)
    try:
        leaf = verify(files["signature"], files["manifest.json"], trusted=trusted, now=now)
    except BadSignature as error:
        raise RefusedPass(str(error)) from error
    pass_json = _object(files["pass.json"], "pass.json")
    _check(pass_json, files)
    if (pass_json["passTypeIdentifier"], pass_json["teamIdentifier"]) != identifiers_of(leaf):
        raise RefusedPass("pass type or team differs from the certificate's UID and OU")
    return OpenedPass(pass_json, files)


def open_unchecked(data: bytes) -> OpenedPass:
    """A pass from a server of our own, with no signature or hash checked: for benchmarks."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return OpenedPass(orjson.loads(archive.read("pass.json")), {})


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of an archive by path, within limits. Raises RefusedPass."""
    if len(data) > ARCHIVE_BYTES_MAX:
        raise RefusedPass(f"the archive is larger than {ARCHIVE_BYTES_MAX} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > FILES_MAX or sum(entry.file_size for entry in entries) > UNPACKED_BYTES_MAX:
                raise RefusedPass("the archive unpacks to too much")
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or any(_is_outside(name) for name in names):
                raise RefusedPass("the archive has a file twice, or one outside itself")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise RefusedPass(f"not a ZIP archive: {error}") from error


def _is_outside(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def _check_hashes(files: Mapping[str, bytes]) -> None:
    manifest = _object(files["manifest.json"], "manifest.json")
    present = files.keys() - {"manifest.json", "signature"}
    for name in sorted(present ^ manifest.keys()):
        where = "the archive" if name in manifest else "the manifest"
        raise RefusedPass(f"{name} is missing in {where}")
    for name in sorted(present):
        if hashlib.sha1(files[name], usedforsecurity=False).hexdigest() != manifest[name]:
            raise RefusedPass(f"{name} does not match its hash in the manifest")


def _object(data: bytes, name: str) -> Json:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RefusedPass(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RefusedPass(f"{name} is not an object")
    return cast(Json, value)


def _check(pass_json: Json, files: Mapping[str, bytes]) -> None:
    if pass_json.get("formatVersion") != 1:
        raise RefusedPass("formatVersion must be 1")
    for key in _REQUIRED:
        if not isinstance(pass_json.get(key), str) or not pass_json[key]:
            raise RefusedPass(f"{key} is missing")
    styles = [style for style in STYLES if isinstance(pass_json.get(style), dict)]
    if len(styles) != 1:
        raise RefusedPass(f"one style is needed, there are {len(styles)}")
    if not any(_ICON.fullmatch(name) for name in files):
        raise RefusedPass("icon.png is missing")
    _check_service(pass_json)
    _check_dates(pass_json)
    _check_fields(OpenedPass(pass_json, files))


def _check_service(pass_json: Json) -> None:
    url, token = pass_json.get("webServiceURL"), pass_json.get("authenticationToken")
    if (url is None) != (token is None):
        raise RefusedPass("webServiceURL and authenticationToken go together")
    if url is None:
        return
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise RefusedPass("webServiceURL is not an address")
    if not isinstance(token, str) or len(token) < TOKEN_CHARACTERS_MIN:
        raise RefusedPass(f"authenticationToken is shorter than {TOKEN_CHARACTERS_MIN} characters")


def _check_dates(pass_json: Json) -> None:
    for key in ("expirationDate", "relevantDate"):
        if key in pass_json and not _is_date(pass_json[key]):
            raise RefusedPass(f"{key} {pass_json[key]!r} is not a W3C date")


def _check_fields(opened: OpenedPass) -> None:
    keys: set[str] = set()
    for field in opened.fields():
        key = field.get("key")
        if not isinstance(key, str) or "value" not in field:
            raise RefusedPass("a field has no key or no value")
        if key in keys:
            raise RefusedPass(f"the field key {key!r} stands twice")
        keys.add(key)
        if {"dateStyle", "timeStyle"} & field.keys() and not _is_date(field["value"]):
            raise RefusedPass(f"the value of field {key!r} is not a W3C date")


def _is_date(value: object) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None
