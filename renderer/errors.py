"""Errors of the renderer, one exit code for each class.

    RendererError                       1   base, never raised itself
    |-- EnvFileError                    3   the file of --env-file cannot be read or has a bad line
    |-- ConfigurationError             10   several kinds of wrong variables at once
    |-- VariableError                   9   base of one wrong variable, never raised itself
    |   |-- UnknownVariableError       11   a typo under one of our prefixes, or an unknown field
    |   |-- InvalidValueError          12   a value that its variable cannot take
    |   |-- MissingValueError          13   a variable that must be there
    |   |-- ConflictError              14   two variables that exclude each other
    |   `-- NotAvailableError          15   a feature that this version does not have
    |-- SecretStoreError               16   a secret store did not answer
    |-- TemplateError                  20   a template and its view do not fit: a bug of ours
    |-- VerificationError              21   the text is not what the model says: a bug of ours
    `-- PublicationError               30   the files cannot be written or are not a whole set

A run that finds variables of one kind only exits with that kind's code, else with 10.
Code 2 is the command line's own (wrong options). No message carries the value of a variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class RendererError(Exception):
    """Something to tell the user in one line (or one line for each problem)."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print, one line for each problem."""
        return (str(self),)


class EnvFileError(RendererError):
    """The file given with --env-file cannot be used."""

    exit_code = 3


class VariableError(RendererError):
    """One variable is wrong.

    Args:
        variable: its name, or the name that it should have.
        problem: what is wrong and what to do, without the value.

    """

    exit_code = 9

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
        self.problem = problem


class UnknownVariableError(VariableError):
    """A name under one of our prefixes that means nothing."""

    exit_code = 11


class InvalidValueError(VariableError):
    """A value outside of what the variable can take."""

    exit_code = 12


class MissingValueError(VariableError):
    """A variable that has to be set."""

    exit_code = 13


class ConflictError(VariableError):
    """A variable that cannot stand beside another one."""

    exit_code = 14


class NotAvailableError(VariableError):
    """A feature that is known but not in this version."""

    exit_code = 15


class ConfigurationError(RendererError):
    """All wrong variables of one run, in a stable order."""

    exit_code = 10

    def __init__(self, problems: Sequence[VariableError]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        codes = {problem.exit_code for problem in self.problems}
        if len(codes) == 1:
            self.exit_code = codes.pop()

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each wrong variable."""
        return tuple(str(problem) for problem in self.problems)


class SecretStoreError(RendererError):
    """A secret store could not be asked."""

    exit_code = 16


class TemplateError(RendererError):
    """A template uses a name that its view does not have."""

    exit_code = 20


class VerificationError(RendererError):
    """The rendered text does not say what the model says."""

    exit_code = 21


class PublicationError(RendererError):
    """The rendered set cannot be written, or what is on disk is not a whole set."""

    exit_code = 30
