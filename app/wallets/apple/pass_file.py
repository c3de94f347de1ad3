"""The .pkpass archive: static files and a pass.json in, signed bytes out."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha1

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
        self._members = [_static_member(name, files[name]) for name in sorted(files)]
        self._names = frozenset(files)
        self._start_without = lru_cache(maxsize=8)(self._lay_out_without)

    def build(self, pass_json: bytes, *, extra: Mapping[str, bytes] | None = None, now: datetime) -> bytes:
        """The signed archive. `now` (aware) is the signing time.

        `extra` are members of this one pass, such as a strip image drawn for it; one with the name of a
        static file stands in its place.

        Raises UnsafeFileName, and what the signer raises.
        """
        drawn = [_stored_member(_checked(name), data) for name, data in sorted((extra or {}).items())]
        start = self._start_without(self._names.intersection(extra or ()))
        own = [*drawn, _stored_member("pass.json", pass_json)]
        manifest = b"".join((b"{", start.manifest, b",".join(member.manifest for member in own), b"}"))
        signature = self._cms.sign(manifest, now=now)
        tail = [_stored_member("manifest.json", manifest), _stored_member("signature", signature)]
        return _archive(start, own + tail)

    def _lay_out_without(self, replaced: frozenset[str]) -> "_Start":
        kept = [member for member in self._members if member.name not in replaced]
        return _lay_out(kept)


@dataclass(frozen=True, slots=True)
class _Member:
    """One file of the archive, ready but for its place in it."""

    name: str
    encoded_name: bytes
    local: bytes  # header, name and body
    method: int
    crc: int
    stored_length: int
    length: int
    manifest: bytes  # its entry in manifest.json

    def central(self, offset: int) -> bytes:
        """Its record in the central directory, for a member that begins at `offset`."""
        return (
            _CENTRAL_HEADER.pack(
                b"PK\1\2",
                _MADE_BY_UNIX,
                _VERSION_NEEDED,
                _flags(self.encoded_name),
                self.method,
                0,
                _DOS_DATE,
                self.crc,
                self.stored_length,
                self.length,
                len(self.encoded_name),
                0,
                0,
                0,
                0,
                _REGULAR_FILE,
                offset,
            )
            + self.encoded_name
        )


@dataclass(frozen=True, slots=True)
class _Start:
    """The beginning of an archive, its part of the central directory and of the manifest."""

    local: bytes
    central: bytes
    count: int
    manifest: bytes  # entries, each followed by a comma


def _static_member(name: str, data: bytes) -> _Member:
    _checked(name)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    if len(deflated) < len(data) * _WORTH_DEFLATING:
        return _member(name, data, _DEFLATED, deflated)
    return _stored_member(name, data)


def _stored_member(name: str, data: bytes) -> _Member:
    # Deflating pass.json and manifest.json saves 1 KB in 60 and takes a third of the speed.
    return _member(name, data, _STORED, data)


def _member(name: str, data: bytes, method: int, body: bytes) -> _Member:
    encoded_name = name.encode()
    crc = zlib.crc32(data)
    header = _LOCAL_HEADER.pack(
        b"PK\3\4",
        _VERSION_NEEDED,
        _flags(encoded_name),
        method,
        0,
        _DOS_DATE,
        crc,
        len(body),
        len(data),
        len(encoded_name),
        0,
    )
    # Apple fixes SHA-1 for the manifest; what protects the pass is the SHA-256 signature over it.
    digest = sha1(data, usedforsecurity=False).hexdigest()
    return _Member(
        name=name,
        encoded_name=encoded_name,
        local=b"".join((header, encoded_name, body)),
        method=method,
        crc=crc,
        stored_length=len(body),
        length=len(data),
        manifest=f'{json.dumps(name)}:"{digest}"'.encode(),
    )


def _flags(encoded_name: bytes) -> int:
    return 0 if encoded_name.isascii() else _UTF8_NAME


def _lay_out(members: Sequence[_Member]) -> _Start:
    local = central = manifest = b""
    for member in members:
        central += member.central(len(local))
        local += member.local
        manifest += member.manifest + b","
    return _Start(local, central, len(members), manifest)


def _archive(start: _Start, members: list[_Member]) -> bytes:
    parts, central, offset = [start.local], [start.central], len(start.local)
    for member in members:
        parts.append(member.local)
        central.append(member.central(offset))
        offset += len(member.local)
    directory = b"".join(central)
    count = start.count + len(members)
    parts.append(directory)
    parts.append(_END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0))
    return b"".join(parts)


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
