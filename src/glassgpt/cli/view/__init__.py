"""What the commands print with."""
