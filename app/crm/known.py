"""The table of sources: a new one is a file beside this one and a line here."""

from app.crm import Crm, generic

CRMS: dict[str, Crm] = {
    "generic": generic,
}
