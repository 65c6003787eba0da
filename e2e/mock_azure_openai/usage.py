"""Token counts: a simple tokenizer and the shapes in which Azure OpenAI reports usage.

The numbers are not those of a real model's tokenizer. They are deterministic and they add up:
total = prompt + completion, cached and prompt audio are parts of prompt, reasoning and completion
audio are parts of completion.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\w+|[^\w\s]")
_TOKENS_PER_MESSAGE = 4
_CACHE_FROM = 1024
_CACHE_STEP = 128
_REASONING_TOKENS = 64
_REASONING_MODEL = re.compile(r"(?i)^(o\d|gpt-5)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one answer; `total` is derived."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    audio_prompt: int = 0
    audio_completion: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def as_dict(self) -> dict[str, int]:
        """Return the journal's and the totals' shape: every kind by name, `total` included."""
        return {**dataclasses.asdict(self), "total": self.total}


def count(value: Any) -> int:
    """Tokens in a JSON value: words and signs of every string in it."""
    if isinstance(value, str):
        return len(_TOKEN.findall(value))
    if isinstance(value, Mapping):
        return sum(count(item) for item in value.values())
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return len(value)
        return sum(count(item) for item in value)
    return 0


def count_prompt(body: Mapping[str, Any]) -> int:
    """Prompt tokens of a request body of any of the operations; at least 1."""
    messages = body.get("messages")
    overhead = _TOKENS_PER_MESSAGE * len(messages) if isinstance(messages, list) else 0
    fields = ("messages", "prompt", "input", "instructions", "tools")
    return max(1, overhead + sum(count(body.get(field)) for field in fields))


def derive(body: Mapping[str, Any], deployment: str, visible: int) -> Usage:
    """Return the usage of an honest answer with `visible` completion tokens of text."""
    prompt = count_prompt(body)
    cached = prompt // 2 // _CACHE_STEP * _CACHE_STEP if prompt >= _CACHE_FROM else 0
    reasoning = _REASONING_TOKENS if visible and _REASONING_MODEL.match(deployment) else 0
    return Usage(prompt=prompt, completion=visible + reasoning, cached=cached, reasoning=reasoning)


def chat_form(usage: Usage) -> dict[str, Any]:
    """`usage` as chat completions and completions report it."""
    return {
        "completion_tokens": usage.completion,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": usage.audio_completion,
            "reasoning_tokens": usage.reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": usage.prompt,
        "prompt_tokens_details": {
            "audio_tokens": usage.audio_prompt,
            "cached_tokens": usage.cached,
        },
        "total_tokens": usage.total,
    }


def responses_form(usage: Usage) -> dict[str, Any]:
    """`usage` as the Responses API reports it."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def embeddings_form(usage: Usage) -> dict[str, Any]:
    """`usage` as embeddings report it."""
    return {"prompt_tokens": usage.prompt, "total_tokens": usage.prompt}
