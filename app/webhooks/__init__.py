"""What the installation tells other systems: events, written where they happen, for whoever listens."""
