"""TLS to the outside: which authorities are believed, read once for all clients of a process."""

import ssl
from functools import cache

import httpx2


@cache
def outside() -> ssl.SSLContext:
    """For calls to other systems' servers, by the machine's authorities (or SSL_CERT_FILE).

    Reading them takes 15 ms and a megabyte, and every client would do it anew.
    """
    return httpx2.create_ssl_context()
