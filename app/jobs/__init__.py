"""The work: one file per kind. The only code that calls the world outside."""
