"""A before.yml with everything in it, and what may be wrong in one: was, is, line, problem."""

from __future__ import annotations

from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD

WHOLE = """\
version: 1
incident: 2026-11-22-every-key
problem: "Everything"
cause: >
  folded
  text
reporter: alice
devops_contacted: 2026-11-22T14:00:00Z
host: db1.example.org
database: taaraxtak
break_glass: Bob is ill.
steps:
  - id: first
    why: w
    sql: UPDATE public.t SET a = public.f(a)
    expect_rows: {min: 0, max: 9}
    allow_without_where: true
    cascades: [public.child]
    triggers: [public.t.audit]
    functions: [public.f]
  - id: second
    why: w
    sql: ALTER TABLE public.t ADD COLUMN c int
    allow_ddl: true
assess:
  - id: rows
    why: w
    query: SELECT a, b, c, d, e FROM public.t ORDER BY a
    before: [[a, 1, 1.50, true, null], [b, 2, 2, false, "null"]]
    after: []
    functions: [f]
invariants:
  - id: sum
    why: w
    query: SELECT sum(a) FROM public.t
    functions: [f]
max_rows: 20
lock_timeout: 500ms
statement_timeout: 1h
max_dump_age: 7d
expires: 2026-11-24T14:00:00Z
"""

# (what stood there, what stands there, line, problem): shape, which the schema for editors judges too
MISSHAPEN: tuple[tuple[str, str, int, str], ...] = (
    ("version: 1", "version: 2", 1, "write 1"),
    ("version: 1", "version: true", 1, "write 1"),
    ("version: 1", 'version: "1"', 1, "write 1"),
    ("version: 1\n", "", 1, "version is missing"),
    ("incident: 2026-11-22-every-key", "incident: every-key", 2, "such as 2026-11-22-duplicate-rows"),
    ("incident: 2026-11-22-every-key", "incident: 2026-13-22-x", 2, "such as 2026-11-22-duplicate-rows"),
    ("incident: 2026-11-22-every-key", "incident: 2026-11-22-Every", 2, "such as"),
    ("incident: 2026-11-22-every-key", "incident: ../2026-11-22-x", 2, "such as"),
    ("incident: 2026-11-22-every-key", f"incident: 2026-11-22-{'x' * 80}", 2, "at most 80"),
    ('problem: "Everything"', 'problem: ""', 3, "write a text"),
    ('problem: "Everything"', 'problem: "  "', 3, "write a text"),
    ('problem: "Everything"', "problem: 1", 3, "write a text, not 1"),
    ('problem: "Everything"', "problem: [a]", 3, "write a text"),
    ('problem: "Everything"', "problem: null", 3, "write a text"),
    ("reporter: alice\n", "", 1, "reporter is missing"),
    ("reporter: alice", "reporter: true", 7, "write a text"),
    ("devops_contacted: 2026-11-22T14:00:00Z", "devops_contacted: 2026-11-22", 8, "write a time such as"),
    ("devops_contacted: 2026-11-22T14:00:00Z", "devops_contacted: yesterday", 8, "write a time such as"),
    ("host: db1.example.org", "host: -oProxyCommand=x", 9, "what `hostname` says"),
    ("database: taaraxtak", 'database: ""', 10, "name is empty"),
    ("break_glass: Bob is ill.", 'break_glass: ""', 11, "write a text"),
    ("break_glass: Bob is ill.", "break_glass: true", 11, "write a text"),
    ("break_glass:", "breakglass:", 11, "did you mean break_glass?"),
    ("  - id: first\n", "  - id: First Step\n", 13, "a word such as"),
    ("  - id: first\n", "  - id: 7\n", 13, "a word such as"),
    ("    why: w\n", "    why: [w]\n", 14, "write a text"),
    ("    sql: UPDATE", "    sqll: UPDATE", 15, "did you mean sql?"),
    ("    sql: UPDATE public.t SET a = public.f(a)", "    sql: [UPDATE]", 15, "write a text"),
    ("    expect_rows: {min: 0, max: 9}\n", "", 13, "expect_rows is missing"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: many", 16, "write a mapping"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: true", 16, "write a whole number"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: -1", 16, "write a whole number"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: 1.5", 16, "write a mapping"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: {min: 0}", 16, "max is missing"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: {min: 0, max: 9, most: 1}", 16, "most is unknown"),
    ("expect_rows: {min: 0, max: 9}", "expect_rows: {min: 0, max: 1000001}", 16, "from 0 to 1000000"),
    ("allow_without_where: true", 'allow_without_where: "true"', 17, "write true or false"),
    ("allow_without_where: true", "allow_without_where: 1", 17, "write true or false"),
    ("allow_without_where: true", "allow_everything: true", 17, "allow_everything is unknown"),
    ("cascades: [public.child]", "cascades: [child]", 18, "a table such as"),
    ("cascades: [public.child]", "cascades: []", 18, "the list is empty"),
    ("cascades: [public.child]", "cascades: public.child", 18, "write a list"),
    ("triggers: [public.t.audit]", "triggers: [audit]", 19, "schema.table.trigger"),
    ("functions: [public.f]", "functions: [public.f()]", 20, "a function such as"),
    ("    allow_ddl: true", "    allow_ddl: true\n    expect_rows: 1", 25, "DDL counts no rows"),
    ("steps:", "steps: []\nstep:", 12, "the list is empty"),
    ("  - id: rows", "  - idd: rows", 26, "did you mean id?"),
    ("    after: []", "    after: [1]", 30, "write a row as a list"),
    ("    after: []", "    after: {a: 1}", 30, "write a value"),
    ("    after: []", "    after: [[]]", 30, "write a row as a list"),
    ("    after: []\n", "", 26, "after is missing"),
    ("    query: SELECT sum(a) FROM public.t\n", "", 33, "query is missing"),
    ("max_rows: 20", "max_rows: -5", 37, "write a whole number"),
    ("max_rows: 20", "max_rows: many", 37, "write a whole number"),
    ("lock_timeout: 500ms", "lock_timeout: 0", 38, "write a time such as"),
    ("lock_timeout: 500ms", "lock_timeout: 0s", 38, "write a time such as"),
    ("lock_timeout: 500ms", "lock_timeout: 5", 38, "write a time such as"),
    ("lock_timeout: 500ms", "lock_timeout: -1s", 38, "write a time such as"),
    ("lock_timeout: 500ms", "lock_timeout: 5 s", 38, "write a time such as"),
    ("expires: 2026-11-24T14:00:00Z", "expires: never", 41, "write a time such as"),
    ("expires: 2026-11-24T14:00:00Z", "expires: 2026-11-24T14:00:00+02:00", 41, "write a time such as"),
)

# What no schema can judge.
CONTRADICTORY: tuple[tuple[str, str, int, str], ...] = (
    ("incident: 2026-11-22-every-key", "incident: 2026-02-30-x", 2, "there is no day"),
    ("{min: 0, max: 9}", "{min: 9, max: 0}", 16, "min 9 is above max 0"),
    ("{min: 0, max: 9}", "{min: 21, max: 30}", 37, "touch at least 21 rows"),
    ("  - id: second", "  - id: first", 21, "stands here twice"),
    ("  - id: sum", "  - id: rows", 33, "stands here twice"),
    ("[public.child]", "[public.child, public.child]", 18, "stands here twice"),
    ("lock_timeout: 500ms", "lock_timeout: 11min", 38, "at most 10min"),
    ("statement_timeout: 1h", "statement_timeout: 7h", 39, "at most 6h"),
    ("statement_timeout: 1h", "statement_timeout: 100ms", 38, "above statement_timeout"),
    ("max_dump_age: 7d", "max_dump_age: 31d", 40, "at most 30d"),
    ("expires: 2026-11-24T14:00:00Z", "expires: 2026-11-22T14:00:00Z", 41, "before devops was contacted"),
    ("expires: 2026-11-24T14:00:00Z", "expires: 2026-11-31T14:00:00Z", 41, "write a time such as"),
    ('[[a, 1, 1.50, true, null], [b, 2, 2, false, "null"]]', "[]", 25, "no answer differs"),
    ("    after: []", "    after: [[1], [1, 2]]", 30, "different numbers of values"),
)

UNPLAIN: tuple[tuple[str, int, str], ...] = (
    (GOOD.replace("problem: ", "problem: &a "), 3, "alias or anchor"),
    (GOOD + "x: *a\n", 30, "alias or anchor"),
    ("&a : 1", 1, "alias or anchor"),
    (GOOD.replace("max_rows: 12", "max_rows: !!int 12"), 25, "take the tag"),
    (GOOD.replace("problem: ", "problem: !!python/object/apply:os.system "), 3, "take the tag"),
    (GOOD.replace("problem: ", "problem: !vault "), 3, "take the tag"),
    (GOOD.replace("steps:\n", "steps: !!seq\n"), 9, "take the tag"),
    (GOOD + "host: other\n", 30, "stands here twice: the first is on line 7"),
    (GOOD.replace("    expect_rows: 12", "    expect_rows: 12\n    expect_rows: 1200"), 17, "stands here twice"),
    ("a: {a: 1, a: 2}", 1, "stands here twice"),
    ("a: {b: {a: 1}, b: 2}", 1, "stands here twice"),
    (GOOD + "---\nversion: 1\n", 30, "second document"),
    (GOOD + "...\n---\nversion: 1\n", 31, "second document"),
    ("%YAML 1.1\n---\n" + GOOD, 1, "take the directive out"),
    ("%TAG ! tag:x,2026:\n---\n" + GOOD, 1, "take the directive out"),
    ("<<: {a: 1}\n", 1, "different things to readers"),
    ("a: yes", 1, "different things to readers"),
    ("a: Off", 1, "different things to readers"),
    ("a: 0x1F", 1, "different things to readers"),
    ("a: 010", 1, "different things to readers"),
    ("a: 1_000", 1, "different things to readers"),
    ("a: 190:20:30", 1, "different things to readers"),
    ("a: .inf", 1, "different things to readers"),
    ("a: 1.5e+3", 1, "different things to readers"),
    ("a: ~", 1, "different things to readers"),
    ("a:\nb: 1", 1, "the value is missing"),
    ("1: a", 1, "put it in quotes"),
    ("true: a", 1, "put it in quotes"),
    ("null: a", 1, "put it in quotes"),
    ("[a]: 1", 1, "a key must be a word"),
    ("? {a: 1}\n: 2", 1, "a key must be a word"),
    ("a: 'b\u202ec'", 1, "U+202E"),
    ("a: 1\nb: 'c\u200bd'", 2, "U+200B"),
    ("a: 1\nb: 'c\u2028d'", 2, "U+2028"),
    ("a: 1\u0085b: 2", 1, "U+0085"),
    ("\ufeffa: 1", 1, "U+FEFF"),
    ("a: 1\r\nb: 2\r\n", 1, "U+000D"),
    ("a: \x00", 1, "U+0000"),
    ("a: [1, 2", 1, "this is not YAML"),
    ("a: 1\n b: 2", 2, "this is not YAML"),
    ("a: 'open", 1, "this is not YAML"),
    ("\ta: 1", 1, "this is not YAML"),
    ("", 1, "the file is empty"),
    ("# nothing\n", 1, "the file is empty"),
    ("- version: 1", 1, "write a mapping"),
    ("version", 1, "write a mapping"),
)
