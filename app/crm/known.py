"""The table of sources: a new one is a file beside this one and a line here."""

from app.crm import AskedCrm, Crm, generic, hubspot, kommo, shopify
from app.crm.bitrix24 import source as bitrix24

# Sources that name a deal and are asked what it is worth by one call of their REST API.
ASKED: dict[str, AskedCrm] = {"hubspot": hubspot, "kommo": kommo}
CRMS: dict[str, Crm] = {"generic": generic, "shopify": shopify, bitrix24.KIND: bitrix24, **ASKED}
