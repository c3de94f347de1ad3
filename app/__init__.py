"""Passbell: self-hosted wallet passes that ring."""

__version__ = "0.1.0"
