"""Prometheus text, parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

Labels = frozenset[tuple[str, str]]

_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+\d+)?")
_LABEL = re.compile(r'(?P<name>[a-zA-Z_]\w*)="(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


class Metrics(Mapping[tuple[str, Labels], float]):
    """Samples by (name, labels); a sample that is not there is no error for `value`."""

    def __init__(self, samples: Mapping[tuple[str, Labels], float]) -> None:
        self._samples = dict(samples)

    def __getitem__(self, key: tuple[str, Labels]) -> float:
        return self._samples[key]

    def __iter__(self) -> Iterator[tuple[str, Labels]]:
        return iter(self._samples)

    def __len__(self) -> int:
        return len(self._samples)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `name` that have (at least) these labels; else 0."""
        return sum(value for _, value in self.select(name, **labels))

    def select(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Return the samples of `name` that have (at least) these labels."""
        wanted = set(labels.items())
        return [
            (dict(found), value)
            for (key, found), value in self._samples.items()
            if key == name and wanted <= found
        ]

    def names(self) -> set[str]:
        """Return the names of all samples."""
        return {name for name, _ in self._samples}

    def since(self, before: Metrics) -> Metrics:
        """Return the growth of every sample; one that is new has grown from 0."""
        return Metrics({key: value - before.get(key, 0.0) for key, value in self._samples.items()})


def parse(text: str) -> Metrics:
    """Parse the exposition format; ValueError names a line that is none, or that comes twice."""
    samples: dict[tuple[str, Labels], float] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"not a Prometheus sample: {line!r}")
        labels = frozenset(
            (label["name"], _ESCAPE.sub(_unescape, label["value"]))
            for label in _LABEL.finditer(found["labels"] or "")
        )
        key = (found["name"], labels)
        if key in samples:
            raise ValueError(f"the same Prometheus sample twice: {line!r}")
        samples[key] = float(found["value"])
    return Metrics(samples)


def _unescape(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]
