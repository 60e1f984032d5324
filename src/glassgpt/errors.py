"""The one exception that means "what you gave can't be used"; everything else that is raised is a bug."""

__all__ = ["UserError"]


class UserError(ValueError):
    """Input that cannot be used. The message names what was given, the limit, and the remedy.

    The command line prints it without a traceback and exits with 2.
    """
