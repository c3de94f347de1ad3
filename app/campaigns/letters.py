"""A campaign's e-mail: its HTML twin, and the link by which its reader says no, without a login."""

import hashlib
import hmac
from html import escape

_PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="margin:0;background:#f4f4f2;font-family:sans-serif">
<div style="max-width:560px;margin:0 auto;padding:24px 16px">
<p style="font-weight:bold;color:#555">{sender}</p>
<div style="background:#fff;border-radius:12px;padding:24px;font-size:16px;
line-height:1.5;color:#222">{body}</div>
<p style="font-size:13px;color:#777"><a style="color:#777" href="{url}">{words}</a></p>
</div></body></html>
"""


def html_of(text: str, *, sender: str, language: str, url: str, words: str) -> str:
    """The letter for mail programs that show HTML: the same words, readable on a narrow screen."""
    paragraphs = (escape(part).replace("\n", "<br>") for part in text.split("\n\n"))
    body = "".join(f"<p>{part}</p>" for part in paragraphs)
    return _PAGE.format(
        language=escape(language), sender=escape(sender), body=body, url=escape(url), words=escape(words)
    )


def token_of(secret_key: bytes, member_id: str) -> str:
    """What stands in the link: the member and proof that we wrote it. It never expires: a no is for ever."""
    digest = hmac.digest(secret_key, b"passbell.unsubscribe.v1|" + member_id.encode(), hashlib.sha256)
    return f"{member_id}.{digest.hex()[:32]}"


def member_of(secret_key: bytes, token: str) -> str | None:
    """The member whose link this is; None when we did not write it."""
    member_id = token.partition(".")[0]
    is_ours = hmac.compare_digest(token_of(secret_key, member_id).encode(), token.encode())
    return member_id if is_ours else None
