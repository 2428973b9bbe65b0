"""Only runs.transitions, with its SQL, and runs.creation write `Run.state`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scheduler_api
from scheduler_api.runs.models import Run

ROOT = Path(scheduler_api.__file__).parent
DOORS = {
    "runs/creation.py",
    "runs/transition_sql.py",
    "runs/transitions.py",
}
# SQL that creates rows of runs, or sets their state; not a condition on it.
RUNS = r'"?scheduler_api_run"?\b'
INSERT = re.compile(rf"\bINSERT\s+INTO\s+{RUNS}", re.IGNORECASE)
UPDATE = re.compile(
    rf"\bUPDATE\s+(?:ONLY\s+)?{RUNS}.*?\bSET\b(.*?)(?:\bWHERE\b|\Z)", re.IGNORECASE | re.DOTALL
)
SET_STATE = re.compile(r'(?:^|[\s,("])state"?\s*=', re.IGNORECASE)
CREATE = {"create", "acreate", "get_or_create", "update_or_create"}
# Methods whose keyword arguments, or dictionaries of them, are columns.
WRITE = CREATE | {"update", "aupdate"}


def writes_of_state(source: str) -> list[str]:
    """Return each expression that may write the state of a run, or that builds a run.

    Deliveries of webhooks have a state too: what names `Delivery` is theirs.
    """
    return [ast.unparse(node) for node in suspicious(ast.parse(source))]


def suspicious(tree: ast.AST) -> Iterator[ast.AST]:
    nodes = list(ast.walk(tree))
    calls = (node for node in nodes if isinstance(node, ast.Call))
    saves_columns = any(name_of(call.func) in {"bulk_update", "save"} for call in calls)
    for node in nodes:
        match node:
            case ast.Call() | ast.Attribute() | ast.Dict() if is_of_delivery(node):
                continue
            case ast.Call():
                is_found = is_write(node)
            case ast.Attribute(attr="state"):
                is_found = isinstance(node.ctx, ast.Store)
            case ast.Dict():
                is_found = is_columns(node)
            # As `fields = ["state"]` for `bulk_update(runs, fields)`.
            case ast.List() | ast.Tuple() | ast.Set():
                is_found = saves_columns and any(is_state(each) for each in node.elts)
            case ast.Constant() | ast.JoinedStr():
                is_found = is_sql_write(text_of(node))
            case _:
                continue
        if is_found:
            yield node


def is_columns(node: ast.Dict) -> bool:
    """Whether it is as `columns = {"state": State.LOST}` for `update(**columns)`.

    A text is an example of JSON, unless it goes to `update` at once; see `is_write`.
    """
    pairs = zip(node.keys, node.values, strict=True)
    return any(is_state(key) and isinstance(value, ast.Attribute) for key, value in pairs)


def text_of(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as text):
            return text.decode("latin-1")
        case ast.JoinedStr():
            return "".join(text_of(part) or "?" for part in node.values)
    return ""


def is_write(call: ast.Call) -> bool:
    name = name_of(call.func)
    if name == "Run" or (name in CREATE and "Run.objects" in ast.unparse(call.func)):
        return True
    if name == "setattr":
        return len(call.args) > 1 and is_state(call.args[1])
    if name not in WRITE:
        return False
    if any(keyword.arg == "state" for keyword in call.keywords):
        return True
    unpacked = [each.value for each in call.keywords if each.arg is None] + call.args
    keys = [key for each in unpacked if isinstance(each, ast.Dict) for key in each.keys]
    return any(is_state(key) for key in keys)


def name_of(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def is_state(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == "state"


def is_of_delivery(node: ast.AST) -> bool:
    text = ast.unparse(node)
    return bool(re.search(r"\bdelivery\b|\bdeliveries\b|\bDelivery\b", text))


def is_sql_write(text: str) -> bool:
    return bool(
        INSERT.search(text) or any(SET_STATE.search(part) for part in UPDATE.findall(text))
    )


def test_nothing_else_writes_the_state_of_a_run():
    found = {
        str(path.relative_to(ROOT)): writes
        for path in sorted(ROOT.rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in DOORS
        and not name.startswith("migrations/")
        and (writes := writes_of_state(path.read_text()))
    }

    assert found == {}, "Use a move of runs/transitions.py, or new_run of runs/creation.py."


@pytest.mark.parametrize("name", sorted(DOORS))
def test_writes_of_the_one_place_are_seen(name):
    assert writes_of_state((ROOT / name).read_text())


@pytest.mark.parametrize(
    "source",
    [
        "runs.update(state=State.LOST, reason='')",
        "Run.objects.filter(pk=pk).update(state='lost')",
        "runs.filter(pk=pk).update(**{'state': 'lost'})",
        "runs.update(reason='', **{'reason': '', 'state': state})",
        "columns = {'state': Run.State.LOST}\nruns.update(**columns)",
        "columns |= {'state': State.LOST}",
        "await runs.aupdate(state=state)",
        "Run.objects.update_or_create({'state': state}, pk=pk)",
        "Run.objects.update_or_create(pk=pk, defaults={'state': State.LOST})",
        "Run(id=pk, state=State.LOST)",
        "Run(id=pk)",
        "models.Run(id=pk)",
        "Run.objects.create(id=pk, task='t')",
        "Run.objects.get_or_create(pk=pk)",
        "Run.objects.bulk_create([Run(id=pk)])",
        "run.state = State.LOST",
        "run.state, run.reason = State.LOST, ''",
        "run.state += ''",
        "run.state: str = 'lost'",
        "setattr(run, 'state', state)",
        "Run.objects.bulk_update(runs, ['state', 'reason'])",
        "Run.objects.bulk_update(runs, {'state'})",
        "fields = ['state']\nRun.objects.bulk_update(runs, fields)",
        "run.save(update_fields=('state',))",
        "SQL = 'UPDATE scheduler_api_run SET reason = %s, state = %s WHERE id = %s'",
        'SQL = \'update only "scheduler_api_run" as run set "state"=%s\'',
        "SQL = f'UPDATE scheduler_api_run SET {column}, state = {state}'",
        "SQL = b\"UPDATE scheduler_api_run SET state = 'lost'\"",
        "SQL = 'WITH new AS (INSERT INTO scheduler_api_run (id) VALUES (1)) SELECT 1'",
    ],
)
def test_write_of_each_form_is_seen(source):
    assert writes_of_state(source)


@pytest.mark.parametrize(
    "source",
    [
        "runs.filter(state=State.LOST).update(reason='')",
        "runs.filter(state__in=Run.ACTIVE).exists()",
        "run.state == State.LOST",
        "transitions.end(run_id, at=at, state=State.LOST)",
        "EXAMPLE = {'state': 'succeeded'}",
        "fields = ['id', 'state']",
        "self._state = 'ready'",
        "delivery.state = State.DEAD",
        "Delivery.objects.pending().update(state=Delivery.State.DEAD)",
        "columns |= {'state': Delivery.State.DEAD}",
        "SQL = \"UPDATE scheduler_api_run SET task = '' WHERE state = 'lost'\"",
        "SQL = \"UPDATE scheduler_api_delivery SET state = 'dead'\"",
        "SQL = 'INSERT INTO scheduler_api_runevent (kind) VALUES (1)'",
        "SQL = 'SELECT state FROM scheduler_api_run'",
    ],
)
def test_other_use_of_a_state_is_not_taken_for_a_write(source):
    assert not writes_of_state(source)


def test_table_of_runs_has_the_name_that_is_searched_for():
    assert Run._meta.db_table == "scheduler_api_run"
