"""Deals of a CRM: what we last read of them, what a card is worth in one, and whether both books agree."""
