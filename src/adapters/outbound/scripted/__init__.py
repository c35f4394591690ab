"""
A runtime that plays scripts: for demos, for conformance runs, and for the tests of whoever embeds the service.

    async with Scripted(clock, ids, Scripts.always(Think("Hm."), Say("Hello!"))) as agent:
        ...

`steps` says what a script can do, `scripts` which one plays, `directives` how to write one into a message's text,
`files` how to write many into a file.
"""

from .agent import Scripted, factory
from .directives import ScriptError, directed, read_directives
from .files import load_scripts, read_scripts
from .scripts import CONFORMANCE, Rule, Scripts
from .steps import (
    AskInput,
    AskPermission,
    AskQuestion,
    Complete,
    Delay,
    Delegate,
    Echo,
    EditFile,
    Fail,
    GiveData,
    GiveFile,
    Hang,
    NeedAuth,
    Recall,
    Reject,
    Reply,
    Say,
    Script,
    Spend,
    Step,
    Think,
    UseTool,
)

__all__ = [
    "CONFORMANCE",
    "AskInput",
    "AskPermission",
    "AskQuestion",
    "Complete",
    "Delay",
    "Delegate",
    "Echo",
    "EditFile",
    "Fail",
    "GiveData",
    "GiveFile",
    "Hang",
    "NeedAuth",
    "Recall",
    "Reject",
    "Reply",
    "Rule",
    "Say",
    "Script",
    "ScriptError",
    "Scripted",
    "Scripts",
    "Spend",
    "Step",
    "Think",
    "UseTool",
    "directed",
    "factory",
    "load_scripts",
    "read_directives",
    "read_scripts",
]
