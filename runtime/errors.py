"""Errors of the `gateway` command, one exit code for each class.

    GatewayError                       40   base, never raised itself
    |-- RuntimeNotAvailableError       41   the runtime that was asked for is not here
    |-- MissingPackageError            42   a package of the distribution is missing
    |-- WorkdirError                   43   the work directory cannot be used
    |-- WorkdirLockedError             44   another gateway runs in the work directory
    |-- RenderedSetError               45   the rendered files are not a whole set
    |-- UnsupportedError               46   the files ask for what this runtime cannot do
    |-- PortInUseError                 47   a port is taken
    |-- EngineStartError               48   the engine did not become ready
    |-- EngineDiedError                49   the engine ended by itself
    `-- NotRunningError                50   no gateway answers at the given address

Errors of the renderer keep their own codes (1 to 39). No message carries a secret.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Something to tell the user in one line; ends the command with `exit_code`."""

    exit_code = 40


class RuntimeNotAvailableError(GatewayError):
    """The runtime that was asked for is not on this machine or not in this version."""

    exit_code = 41


class MissingPackageError(GatewayError):
    """A package of the distribution is missing."""

    exit_code = 42


class WorkdirError(GatewayError):
    """The work directory cannot be made or written."""

    exit_code = 43


class WorkdirLockedError(GatewayError):
    """Another gateway runs in the work directory."""

    exit_code = 44


class RenderedSetError(GatewayError):
    """The rendered files are missing, damaged or not a whole set."""

    exit_code = 45


class UnsupportedError(GatewayError):
    """The rendered files ask for something that this runtime does not have."""

    exit_code = 46


class PortInUseError(GatewayError):
    """A port that the gateway should listen on is taken."""

    exit_code = 47


class EngineStartError(GatewayError):
    """The engine did not start or did not become ready."""

    exit_code = 48


class EngineDiedError(GatewayError):
    """The engine ended although nobody asked it to."""

    exit_code = 49


class NotRunningError(GatewayError):
    """No gateway answers where one was expected."""

    exit_code = 50
