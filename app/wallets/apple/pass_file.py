"""The .pkpass archive: static files and a pass.json in, signed bytes out."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple

from app.wallets.apple.signing import CmsSigner

MEDIA_TYPE = "application/vnd.apple.pkpass"
RESERVED_NAMES = frozenset({"pass.json", "manifest.json", "signature"})

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_STORED, _DEFLATED = 0, 8
_VERSION_NEEDED, _MADE_BY_UNIX = 20, 3 << 8 | 20
_UTF8_NAME = 1 << 11
_REGULAR_FILE = 0o100644 << 16
# One date for every member, 2026-01-01: equal passes are equal archives, up to the signature.
_DOS_DATE = (2026 - 1980) << 9 | 1 << 5 | 1
_WORTH_DEFLATING = 0.98
_NAME_OCTETS_MAX = 255


class UnsafeFileName(ValueError):
    """A file that may not be in a pass under this name."""


class PassFileBuilder:
    """Builds the archives of one template with one certificate.

    `files` are the members that are the same in every pass, by path ("icon@2x.png",
    "ru.lproj/pass.strings"). They come first in the archive and are compressed, hashed and laid out
    once, here; a pass then costs little more than its signature. Any number of threads may share it.

    Raises UnsafeFileName.
    """

    def __init__(self, files: Mapping[str, bytes], cms: CmsSigner) -> None:
        self._cms = cms
        names = sorted(_checked(name) for name in files)
        self._members = {name: _compressed(name, files[name]) for name in names}
        self._entries = {name: _manifest_entry(name, files[name]) for name in names}
        self._names = frozenset(names)
        self._start = self._lay_out(frozenset())
        self._start_without = lru_cache(maxsize=8)(self._lay_out)

    def build(self, pass_json: bytes, *, extra: Mapping[str, bytes] | None = None, now: datetime) -> bytes:
        """The signed archive. `now` (aware) is the signing time.

        `extra` are members of this one pass, such as a strip image drawn for it; one with the name of a
        static file stands in its place.

        Raises UnsafeFileName, and what the signer raises.
        """
        own = {_checked(name): extra[name] for name in sorted(extra)} if extra else {}
        own["pass.json"] = pass_json
        start = self._start_without(self._names.intersection(extra)) if extra else self._start
        entries = b"".join([_manifest_entry(name, data) for name, data in own.items()])
        manifest = b"".join((b"{", start.entries, entries[:-1], b"}"))
        own["manifest.json"] = manifest
        own["signature"] = self._cms.sign(manifest, now=now)
        return _archive(start, [_stored(name, data) for name, data in own.items()])

    def _lay_out(self, replaced: frozenset[str]) -> "_Start":
        kept = [name for name in self._members if name not in replaced]
        local, central = _laid_out([self._members[name] for name in kept], offset=0)
        entries = b"".join(self._entries[name] for name in kept)
        return _Start(b"".join(local), b"".join(central), len(kept), entries)


@dataclass(frozen=True)
class _Start:
    """The beginning of an archive, its part of the central directory and of the manifest."""

    local: bytes
    central: bytes
    count: int
    entries: bytes


class _Member(NamedTuple):
    """One file of the archive, as it is stored there. (Several are made for a pass, and tuples quickly.)"""

    name: bytes
    body: bytes
    method: int
    crc: int
    length: int


def _compressed(name: str, data: bytes) -> _Member:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    if len(deflated) < len(data) * _WORTH_DEFLATING:
        return _Member(name.encode(), deflated, _DEFLATED, zlib.crc32(data), len(data))
    return _stored(name, data)


def _stored(name: str, data: bytes) -> _Member:
    # Deflating pass.json and manifest.json would save 1 KB in 60 and take a third of the speed.
    return _Member(name.encode(), data, _STORED, zlib.crc32(data), len(data))


def _manifest_entry(name: str, data: bytes) -> bytes:
    # Apple fixes SHA-1 for the manifest; what protects the pass is the SHA-256 signature over it.
    return _quoted(name) + sha1(data, usedforsecurity=False).hexdigest().encode() + b'",'


@lru_cache(maxsize=1024)
def _quoted(name: str) -> bytes:
    return f'{json.dumps(name)}:"'.encode()


def _laid_out(members: Iterable[_Member], offset: int) -> tuple[list[bytes], list[bytes]]:
    """The pieces of the members from `offset` on, and their records in the central directory."""
    local: list[bytes] = []
    central: list[bytes] = []
    for name, body, method, crc, length in members:
        flags = 0 if name.isascii() else _UTF8_NAME
        same = (flags, method, 0, _DOS_DATE, crc, len(body), length, len(name), 0)
        header = _LOCAL_HEADER.pack(b"PK\3\4", _VERSION_NEEDED, *same)
        record = _CENTRAL_HEADER.pack(
            b"PK\1\2", _MADE_BY_UNIX, _VERSION_NEEDED, *same, 0, 0, 0, _REGULAR_FILE, offset
        )
        local += (header, name, body)
        central += (record, name)
        offset += len(header) + len(name) + len(body)
    return local, central


def _archive(start: _Start, members: list[_Member]) -> bytes:
    local, central = _laid_out(members, offset=len(start.local))
    directory = b"".join((start.central, *central))
    before = len(start.local) + sum(map(len, local))
    count = start.count + len(members)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), before, 0)
    return b"".join((start.local, *local, directory, end))


def _checked(name: str) -> str:
    """The name itself, if a phone and every unzip program take it for a file inside the pass."""
    if name.lower() in RESERVED_NAMES:
        raise UnsafeFileName(f"{name!r} is written by Passbell itself: rename the file")
    if "\\" in name or any(part in {"", ".", ".."} for part in name.split("/")):
        raise UnsafeFileName(
            f"{name!r} is not a plain relative path such as 'icon.png' or 'ru.lproj/pass.strings'"
        )
    if not name.isprintable():  # control characters, line ends and lone surrogates
        raise UnsafeFileName(f"{name!r} holds characters that cannot be printed: rename the file")
    if len(name.encode()) > _NAME_OCTETS_MAX:
        raise UnsafeFileName(f"{name!r} is longer than {_NAME_OCTETS_MAX} bytes: rename the file")
    return name
