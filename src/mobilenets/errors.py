"""The one exception a user is meant to see."""


class UserError(Exception):
    """Wrong use or unusable input, told to the person in one line.

    The message names the file or value and the remedy. The command line prints it to
    standard error and exits with code 2; as a library it propagates like any exception.
    """
