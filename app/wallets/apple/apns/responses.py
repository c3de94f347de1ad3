"""Header blocks of the server's answers, back to a status. Numbers are from RFC 7541."""

from typing import cast

from hpack import Decoder, HPACKError

from app.wallets.apple.apns import frames

STATUS_200 = b"\x88"  # Appendix A: ":status: 200" as one byte


class ResponseHeaders:
    """The decoder of one connection. Every block must come through here while the server may keep a table.

    We grant it none (SETTINGS_HEADER_TABLE_SIZE 0), so once it has acknowledged that, a block means the same
    whatever came before it, and one that begins with STATUS_200 is known at sight.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self.is_stateless = False
        self._is_acknowledged = False

    def acknowledge(self) -> None:
        """The server has read our SETTINGS: its next block begins with the new size of the table (4.2)."""
        self._is_acknowledged = True
        self._decoder.max_allowed_table_size = 0

    def status(self, block: bytes) -> int | None:
        """The status in a block; None for trailers, which have none. Raises BrokenProtocol."""
        try:
            headers = cast(list[tuple[bytes, bytes]], self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise frames.BrokenProtocol(f"headers: {error}", frames.COMPRESSION_ERROR) from error
        self.is_stateless = self._is_acknowledged
        given = dict(headers).get(b":status")
        if given is None:
            return None
        if not given.isdigit():
            raise frames.BrokenProtocol("a status that is no number")
        return int(given)
