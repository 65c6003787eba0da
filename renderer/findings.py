"""What a compilation finds besides the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from renderer.errors import InvalidValueError, VariableError
from renderer.planned import Planned, check_planned


@dataclass(slots=True)
class Findings:
    """Warnings and problems, collected while the model is built."""

    warnings: list[str] = field(default_factory=list)
    problems: list[VariableError] = field(default_factory=list)

    def add(self, problem: VariableError | None) -> None:
        """Keep a problem, if there is one."""
        if problem is not None:
            self.problems.append(problem)

    def invalid(self, variable: str, error: ValueError | str) -> None:
        """Keep a value's error under its variable."""
        self.problems.append(InvalidValueError(variable, str(error)))

    def planned(self, variable: str, text: str, planned: Planned) -> None:
        """Keep an error when a value asks for a feature that is not there."""
        self.add(check_planned(variable, text, planned))
