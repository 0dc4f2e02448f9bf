"""The one exception for errors that a user can fix."""


class UserError(ValueError):
    """Bad input, settings or environment: one line naming file, item, what was expected and what to do.

    The command line prints it as ``hicm: error: ...`` and exits with status 2; everything else that is raised
    is a bug and keeps its traceback.  Line breaks in the message become blanks.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
