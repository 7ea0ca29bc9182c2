"""docs/hooks.md and the hooks say the same."""

import inspect
import re
import sys
import types
from pathlib import Path

from crawler.scheduler.snapshot import Candidate

from crawler.records import Node, Spec
from crawler.scheduler import hookspecs
from crawler.scheduler.cycle import run_pass
from crawler.scheduler.framework import Framework

TEXT = (Path(__file__).parents[3] / "docs" / "hooks.md").read_text()


def test_every_hook_is_documented_with_its_arguments_and_no_other():
    hooks = {
        name: f"{name}({', '.join(inspect.signature(function).parameters)})"
        for name, function in vars(hookspecs).items()
        if hasattr(function, "crawler_spec")
    }
    assert re.findall(r"^### `(.+)`$", TEXT, re.MULTILINE) == list(hooks.values())


def test_the_example_works(monkeypatch):
    code = re.search(r"```python\n(.+?)```", TEXT, re.DOTALL)[1]
    module = types.ModuleType("mycompany.placement")
    exec(code, vars(module))
    monkeypatch.setitem(sys.modules, "mycompany.placement", module)
    framework = Framework("fewest-in-all", ["mycompany.placement"])
    nodes = [
        Candidate(Node("w-1", "h", labels={"zone": "a"}), 0, 5),
        Candidate(Node("w-2", "h", labels={"zone": "b"}), 9, 1),
    ]
    assert run_pass(framework, nodes, [Spec("x")]).placed["x"].id == "w-2"
    assert run_pass(framework, nodes, [Spec("x", labels={"zone": "a"})]).placed["x"].id == "w-1"
    [verdict] = run_pass(framework, nodes, [Spec("x", labels={"zone": "c"})]).refused
    assert "is not in c" in verdict.reason
