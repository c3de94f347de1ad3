"""The table of sources: a new one is a file beside this one and a line here."""

from app.crm import Crm, generic
from app.crm.bitrix24 import source as bitrix24

CRMS: dict[str, Crm] = {
    "generic": generic,
    bitrix24.KIND: bitrix24,
}
