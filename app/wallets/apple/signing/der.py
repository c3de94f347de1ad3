"""The few DER encodings (ITU-T X.690) that a CMS signature is made of."""

BIT_CONTINUED = 0x80

INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER = 0x02, 0x04, 0x05, 0x06
UTF8_STRING, UTC_TIME = 0x0C, 0x17
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0 = 0xA0


def length(octets: int) -> bytes:
    """The length field for a value of so many octets, in its shortest form."""
    if octets < BIT_CONTINUED:
        return bytes((octets,))
    digits = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes((BIT_CONTINUED | len(digits),)) + digits


def encode(tag: int, *parts: bytes) -> bytes:
    """One value: tag, length, and the parts joined."""
    value = b"".join(parts)
    return bytes((tag,)) + length(len(value)) + value


def integer(number: int) -> bytes:
    """A non-negative integer."""
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def object_identifier(dotted: str) -> bytes:
    """An object identifier such as "1.2.840.113549.1.7.1"."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return encode(OBJECT_IDENTIFIER, bytes((first * 40 + second,)), *(_base_128(arc) for arc in rest))


def _base_128(arc: int) -> bytes:
    digits = [arc & 0x7F]
    while arc := arc >> 7:
        digits.append(BIT_CONTINUED | (arc & 0x7F))
    return bytes(reversed(digits))
