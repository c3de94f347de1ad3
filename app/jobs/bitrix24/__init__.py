"""Work with Bitrix24 portals: asking them, writing back, and setting them up."""
