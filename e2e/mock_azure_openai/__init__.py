"""A scriptable mock of Azure OpenAI; see the README beside this file."""

from .journal import Entry
from .script import Action, At, Match, Rule, Script, Split, SseError
from .script_json import ScriptError
from .server import DEFAULT_KEY, MockAzureOpenAI
from .usage import Usage

__all__ = [
    "DEFAULT_KEY",
    "Action",
    "At",
    "Entry",
    "Match",
    "MockAzureOpenAI",
    "Rule",
    "Script",
    "ScriptError",
    "Split",
    "SseError",
    "Usage",
]
