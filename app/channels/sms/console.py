"""The provider for trying things out: shows each text to the developer instead of sending it."""

import sys
from collections.abc import Mapping
from typing import TextIO

from app.channels.sms import BadReceipt, Balance, CannotAsk, Receipt, SendResult, Sms, segments


class Console:
    """Writes every text to standard output, with only the last two digits of the phone number."""

    name = "console"

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout

    async def send(self, sms: Sms) -> SendResult:
        parts = segments.count(sms.text).parts
        self._output.write(f"SMS to …{sms.recipient[-2:]} ({parts} part{'s'[: parts > 1]}): {sms.text}\n")
        self._output.flush()
        return SendResult(f"console-{sms.client_id}", parts)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        raise CannotAsk("the console remembers nothing")

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        raise BadReceipt("the console sends no receipts")

    async def balance(self) -> Balance | None:
        return None

    async def close(self) -> None:
        """Nothing to close: standard output is the process's."""
