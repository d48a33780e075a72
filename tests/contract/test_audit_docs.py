"""docs/audit.md has every rule that the audit can give, and no other: the rules are read from the code itself."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.findings import SEVERITIES

ROOT = Path(__file__).resolve().parents[2]
AUDIT = ROOT / "plugins/module_utils/access/audit"
PLANS = ROOT / "plugins/module_utils/access/plan"
PAGE = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
# What the name of a rule is made of that no line of the code holds: what is asked of the planner, in created_nouns().
NOUN = "noun"
RULES = PAGE.split("## The rules")[1].split("\n## ")[0]
# The first column of its tables, and the second.
ROW = re.compile(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def created_nouns() -> set[str]:
    """What an audit's plans create: role, schema. A database is created before them, by a plan of its own."""
    texts = {
        node.value
        for path in PLANS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found = {match.group(1).lower() for text in texts if (match := re.fullmatch(r"CREATE ([A-Z]+) ", text))}
    return found - {"database"}


class Rules:
    """Every text that a module's expressions for a rule can be; AssertionError where one can't be told."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    def all(self) -> set[str]:
        functions = [node for node in ast.walk(self.tree) if isinstance(node, Function)]
        found: set[str] = set()
        for function in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    for keyword in node.keywords:
                        if keyword.arg == "rule":
                            found |= self.values(keyword.value, function)
        return found

    def values(self, node: ast.expr, function: Function) -> set[str]:
        if isinstance(node, ast.Constant):
            return {str(node.value)}
        if isinstance(node, ast.IfExp):
            return self.values(node.body, function) | self.values(node.orelse, function)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.joined([node.left, node.right], function)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
            return self.joined(parts, function)
        if isinstance(node, ast.Name):
            return self.named(node.id, function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            old, new = (ast.literal_eval(one) for one in node.args)
            return {text.replace(old, new) for text in self.values(node.func.value, function)}
        raise AssertionError(f"{ast.unparse(node)} in {function.name}: write the rule so that this test can read it")

    def joined(self, parts: list[ast.expr], function: Function) -> set[str]:
        return {"".join(texts) for texts in itertools.product(*(self.values(part, function) for part in parts))}

    def named(self, name: str, function: Function) -> set[str]:
        """What *name* is in *function*: what is assigned to it there, or given for it wherever *function* is called."""
        if name == NOUN:
            return created_nouns()
        assigned = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        ]
        if assigned:
            return {text for value in assigned for text in self.values(value, function)}
        parameters = [one.arg for one in function.args.args if one.arg != "self"]
        assert name in parameters, f"{name} in {function.name}: write the rule so that this test can read it"
        found: set[str] = set()
        for caller in (node for node in ast.walk(self.tree) if isinstance(node, Function)):
            for node in ast.walk(caller):
                if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("self.") == function.name:
                    found |= self.values(node.args[parameters.index(name)], caller)
        assert found, f"nobody calls {function.name}"
        return found


def rules_of_the_code() -> set[str]:
    found: set[str] = set()
    for path in AUDIT.glob("*.py"):
        found |= Rules(ast.parse(path.read_text(encoding="utf-8"))).all()
    return found


def test_the_page_has_every_rule_of_the_code_and_invents_none():
    written = [match.group(1) for match in ROW.finditer(RULES)]
    assert len(written) == len(set(written)), "a rule is there twice"
    assert set(written) == rules_of_the_code()


def test_the_severities_are_the_audit_s_own_words():
    for rule, said in ROW.findall(RULES):
        words = re.split(r", | to ", said)
        assert set(words) <= set(SEVERITIES), rule
        assert [SEVERITIES.index(word) for word in words] == sorted({SEVERITIES.index(word) for word in words}), rule


def test_the_code_gives_the_rules_that_tests_of_the_audit_name():
    """The reading itself: were it to overlook a way of writing rules, these would be missing."""
    named: set[str] = set()
    for path in (ROOT / "tests/integration/test_pg_access_audit.py", ROOT / "tests/unit/access/test_audit.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r'\("([a-z]+-[a-z-]+)", "?[\w]+"?, ', text))
    assert len(named) >= 10
    assert named <= rules_of_the_code()


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        ("def f(a):\n    Finding(rule='x' if a else 'y')", {"x", "y"}),
        ("def f(a):\n    r = ('no' if a else 'so') + '-one'\n    Finding(rule=r)", {"no-one", "so-one"}),
        ("def f(rule):\n    Finding(rule=rule)\ndef g():\n    f('given')", {"given"}),
        ("def f(noun):\n    Finding(rule=f'missing-{noun}')", {"missing-role", "missing-schema"}),
    ],
)
def test_a_rule_is_read_however_it_is_written(code, rules):
    assert Rules(ast.parse(code)).all() == rules


def test_a_rule_that_can_not_be_read_is_an_error():
    with pytest.raises(AssertionError, match="so that this test can read it"):
        Rules(ast.parse("def f(a):\n    Finding(rule=a[0])")).all()


def test_the_page_names_what_the_server_s_log_has():
    probing = ast.parse((ROOT / "plugins/module_utils/access/probing.py").read_text(encoding="utf-8"))
    names = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in probing.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert f"`{names['APPLICATION']}`" in PAGE
    # 200ms is written as 200 ms there.
    for key in ("LOCK_TIMEOUT", "STATEMENT_TIMEOUT"):
        assert re.sub(r"(\d)([a-z])", r"\1 \2", names[key]) in PAGE


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
