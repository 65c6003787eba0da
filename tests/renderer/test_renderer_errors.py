import re

from renderer import errors


def _classes() -> list[type[errors.RendererError]]:
    found = [errors.RendererError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


def test_every_error_class_has_its_own_exit_code():
    codes = [cls.__dict__["exit_code"] for cls in _classes()]

    assert len(set(codes)) == len(codes)
    assert not {0, 2} & set(codes)


def test_the_docstring_lists_every_class_with_its_code():
    tree = dict(re.findall(r"(\w+Error) +(\d+)", errors.__doc__ or ""))

    assert {cls.__name__: str(cls.exit_code) for cls in _classes()} == tree


def test_problems_of_one_kind_exit_with_that_kinds_code():
    problem = errors.MissingValueError("A", "is not set")

    assert errors.ConfigurationError([problem, problem]).exit_code == problem.exit_code


def test_problems_of_several_kinds_exit_with_the_common_code():
    problems = [errors.MissingValueError("A", "x"), errors.ConflictError("B", "y")]

    assert errors.ConfigurationError(problems).exit_code == 10
