"""Floor 7: the command line. It reads arguments, calls the library and prints; nothing else lives here."""
