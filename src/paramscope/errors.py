"""The errors that users see, each with the exit code of the command line.

A message is one line that names the value, what was expected and the repair.
"""


class ParamscopeError(Exception):
    """Base of all errors that paramscope raises on purpose."""

    exit_code = 1


class UsageError(ParamscopeError, ValueError):
    """Wrong use or wrong input: the caller can mend it (exit code 2)."""

    exit_code = 2


class UnfitError(UsageError):
    """One row that cannot be a sample of this run; others may. It is left out and counted."""


class RunError(ParamscopeError, RuntimeError):
    """A run that was started correctly could not be completed (exit code 1)."""

    exit_code = 1


class PeerError(RunError):
    """A run of several processes ended because one of them did (exit code 1)."""


class CheckError(ParamscopeError, RuntimeError):
    """A check or a policy says no (exit code 3)."""

    exit_code = 3
