"""Arguments with a secret name reach the task and are redacted everywhere else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from kombu import Connection, Queue
from kombu.utils.imports import symbol_by_name

from scheduler_api.access.models import AuditEntry
from scheduler_api.access.redaction import masked_pointers, redacted, restored
from scheduler_api.access.secret_names import is_secret
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, mistakes, stored
from tests.canaries import make_canary
from tests.client import ContractClient


def deliver(**options: Any) -> None:
    """Accept any keyword arguments."""


def exact(*, token: int, options: dict[str, Any] | None = None) -> None:
    """Accept a number as a token."""


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    tasks = [
        current_app.task(name=f"a_project.{function.__name__}", lazy=False)(function)
        for function in (deliver, exact)
    ]
    yield
    for task in tasks:
        current_app.tasks.unregister(task)


def delivery(**kwargs: Any) -> dict[str, Any]:
    return heartbeat(task="a_project.deliver", kwargs=kwargs)


def kwargs_of(task: dict[str, Any]) -> dict[str, Any]:
    """Return the stored row of a task in a response."""
    stored_kwargs: dict[str, Any] = json.loads(PeriodicTask.objects.get(pk=task["id"]).kwargs)
    return stored_kwargs


# --- Names of secrets -----------------------------------------------------------------------


SECRET_NAMES = [
    *("password", "PASSWORD", "db_password", "dbPassword", "newPassWord2", "passwords", "passwd"),
    *("pwd", "PWD", "db_pwd", "dbPwd", "pwd1", "pw", "db_pass", "smtpPass", "passcode"),
    *("passphrase", "keyPassphrase", "pass-phrase-is-passphrase"),
    *("secret", "client_secret", "clientSecret", "secretKey", "AWS_SECRET_ACCESS_KEY", "secrets"),
    *("token", "accessToken", "access-token", "refreshtoken", "TOKEN_2", "tokens", "apiTokens"),
    *("jwt", "userJWT", "JWTBearer", "bearer", "otp", "otpCode", "totp", "csrf", "X-CSRF-Token"),
    *("api_key", "APIKey", "apikey", "X-API-Key", "apiKey2", "access_key", "accessKeyId"),
    *("aws.access.key.id", "awsaccesskey", "private_key", "privateKey", "PRIVATE-KEY"),
    *("private_key_pem", "privatekey", "signingKey", "encryption_key", "sshKey", "masterKey"),
    *("credential", "credentials", "dbCredentials", "creds", "aws_creds", "googleCreds"),
    *("auth", "basic_auth", "basicAuth", "authorization", "Proxy-Authorization", "auth_key"),
    *("cookie", "cookies", "Set-Cookie", "sessionCookie", "session_id", "sessionid", "sessionId"),
    *("dsn", "sentryDsn", "SENTRY_DSN", "connection_string", "connectionString", "connStr"),
    *("cvv", "card_cvc"),
]
OTHER_NAMES = [
    *("name", "pass", "passport", "passenger", "bypass", "compass", "key", "keys", "keyboard"),
    *("keyword", "monkey", "primary_key", "cache_key", "sort_key", "api", "", "user\nname"),
    *("author", "authors", "authority", "authored_by", "tokenizer", "tokenize", "tokyo"),
    *("cook", "bear", "bears", "dsnx", "cvs", "opt", "options", "session", "sessions_idle"),
    *("pwned", "spwd_", "pin", "pinned", "credit", "client", "private", "access", "hotpink"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_is_recognized_by_its_name(name: str):
    assert is_secret(name)
    assert redacted({name: "value", "in": [{name: {"a": 1}}]}) == {
        name: "***",
        "in": [{name: "***"}],
    }


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names_are_not_secret(name: str):
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("name", "value", "is_shown"),
    [
        ("tokens_used", 512, True),
        ("max_tokens", 4096, True),
        ("promptTokens", 0.5, True),
        ("token_count", 3, True),
        ("password_min_length", 12, True),
        ("secretLimit", 3, True),
        ("tokens", ["a"], False),
        ("max_tokens", "4096", False),
        ("tokens_used", True, False),
        ("token", 123456, False),
        ("password", 12345678, False),
        ("otp", 123456, False),
    ],
)
def test_number_that_is_a_quantity_is_shown(name: str, value: object, is_shown: bool):
    assert redacted({name: value}) == {name: value if is_shown else "***"}


@pytest.mark.parametrize(
    ("patterns", "secret", "other"),
    [
        (["pin"], ["pin", "userPin", "PIN-2"], ["pins", "spin", "pink"]),
        (["card_no"], ["card_no", "cardNo", "cardno", "my-card-no"], ["card", "no_card"]),
        (["card_*"], ["card_no", "cardNo"], ["my_card_no", "card"]),
        (["?id"], ["xid", "UID"], ["id", "x_id_2"]),
        (["*"], ["anything", ""], []),
    ],
)
def test_pattern_matches_words_or_the_whole_name(
    settings: Any, patterns: list[str], secret: list[str], other: list[str]
):
    settings.REDACTED_KWARGS = patterns

    assert [name for name in [*secret, *other] if is_secret(name)] == secret


def test_redacted_kwargs_sets_the_patterns(settings: Any):
    settings.REDACTED_KWARGS = ["PIN", "card_*"]
    assert [is_secret(name) for name in ("pin", "pins", "Card_no", "password")] == [
        True,
        False,
        True,
        False,
    ]

    settings.REDACTED_KWARGS = []
    assert not is_secret("password")


def test_secrets_are_redacted_at_any_depth():
    assert redacted({"a": [{"token": 1, "b": {"password": {"c": 2}}}], "secret": None}) == {
        "a": [{"token": "***", "b": {"password": "***"}}],
        "secret": "***",
    }
    assert redacted((1, {"token": 2})) == (1, {"token": "***"})


@pytest.mark.parametrize(
    "value",
    [
        {"token": "t", "a": {"password": ["p"], "b": 1}},
        {"a": [{"token": "t"}, {"token": "u"}]},
        {"token": {"deep": 1}, "list": [1, True]},
    ],
)
def test_redacted_value_is_restored(value: Any):
    assert restored(redacted(value), value) == value


# --- Passwords within URLs ------------------------------------------------------------------

URLS = {
    "amqp://ann:hunter22@mq.example.com:5672/vhost": "amqp://ann:***@mq.example.com:5672/vhost",
    "redis://:hunter22@cache/0": "redis://:***@cache/0",
    "see postgresql://u:p@ss@db/x, then": "see postgresql://u:***@db/x, then",
    "https://api.example.com/?access_token=hunter22&page=2": (
        "https://api.example.com/?access_token=***&page=2"
    ),
    "with url: /v1?a=1&apiKey=hunter22 (Caused by": "with url: /v1?a=1&apiKey=*** (Caused by",
    "jdbc:postgresql://db/x?user=ann&password=hunter22": (
        "jdbc:postgresql://db/x?user=ann&password=***"
    ),
}
PLAIN = [
    "https://example.com:8080/?mail=ann@example.com",
    "https://ann@example.com/",
    "http://h:80?x=a@b",
    "a=b&c=d, e@f",
    "https://example.com/?page=2&author=ann",
    "git@example.com:ann/project.git",
    "",
]


@pytest.mark.parametrize(("text", "shown"), URLS.items())
def test_password_of_a_url_is_redacted(text: str, shown: str):
    assert redacted({"a": [text]}) == {"a": [shown]}
    assert redacted((text,)) == (shown,)
    assert restored({"a": [shown], "b": shown}, {"a": [text], "b": text}) == {
        "a": [text],
        "b": text,
    }
    assert list(masked_pointers({"a": [shown]}, "")) == ["/a/0"]


@pytest.mark.parametrize("text", PLAIN)
def test_text_without_a_password_is_shown(text: str):
    assert redacted([text, {"a": text}]) == [text, {"a": text}]
    assert not list(masked_pointers([text], ""))


@pytest.mark.parametrize("method", ["put", "patch"])
def test_definition_with_a_password_in_a_url_can_be_sent_back(
    api: ContractClient, method: str, canary: str
):
    url = f"amqp://ann:{canary}@mq.example.com/"
    body = heartbeat(task="a_project.deliver", kwargs={"to": {"url": url}, "urls": [url]})
    made = api.post(TASKS, body).json()
    assert made["kwargs"]["urls"] == ["amqp://ann:***@mq.example.com/"]

    response = getattr(api, method)(f"{TASKS}{made['id']}/", made)

    assert response.status_code == 200, response.json()
    assert kwargs_of(made) == body["kwargs"]
    assert response.json()["revision"] == 1
    moved = {"kwargs": {"to": {"url": made["kwargs"]["urls"][0].replace("mq", "other")}}}
    assert mistakes(api.patch(f"{TASKS}{made['id']}/", moved)) == [("/kwargs/to/url", "redacted")]


# --- Responses and the audit log ------------------------------------------------------------


def test_responses_and_audit_log_are_redacted(api: ContractClient, canary: str):
    body = delivery(user="ann", password=canary, more=[{"token": canary}])
    body["args"] = []
    body["headers"] = {"x-token": canary}
    shown = {"user": "ann", "password": "***", "more": [{"token": "***"}]}

    made = api.post(TASKS, body)
    path = f"{TASKS}{made.json()['id']}/"
    answers = [
        made,
        api.get(path),
        api.patch(path, {"enabled": False}),
        api.put(path, body),
        api.get("/api/v1/audit-entries/"),
    ]
    listed = api.get(TASKS)

    assert all(answer.status_code in {200, 201} for answer in answers)
    assert [answer.json()["kwargs"] for answer in answers[:4]] == [shown] * 4
    assert listed.json()["results"][0]["kwargs"] == shown
    assert not [answer for answer in [*answers, listed] if canary in answer.content.decode()]
    assert AuditEntry.objects.earliest("pk").after["kwargs"] == shown
    assert kwargs_of(made.json())["password"] == canary


def test_audit_log_records_a_changed_secret(api: ContractClient, canary: str):
    made = api.post(TASKS, delivery(password=make_canary())).json()

    api.patch(f"{TASKS}{made['id']}/", {"kwargs": {"password": canary}})

    entry = AuditEntry.objects.latest("pk")
    assert entry.before == entry.after == {"kwargs": {"password": "***"}}
    assert kwargs_of(made) == {"password": canary}


def test_audit_log_redacts_a_deleted_task(api: ContractClient, canary: str):
    made = api.post(TASKS, delivery(password=canary)).json()

    api.delete(f"{TASKS}{made['id']}/")

    assert AuditEntry.objects.latest("pk").before["kwargs"] == {"password": "***"}


def test_secrets_of_other_writers_are_redacted(api: ContractClient, canary: str):
    task = stored(kwargs=json.dumps({"api_key": canary}))

    assert api.get(address(task)).json()["kwargs"] == {"api_key": "***"}


# --- Stars sent back ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put", "patch"])
def test_redacted_response_can_be_sent_back(api: ContractClient, method: str, canary: str):
    secrets = {"user": "ann", "password": canary, "more": [{"token": canary}]}
    made = api.post(TASKS, delivery(**secrets)).json()
    text = PeriodicTask.objects.get().kwargs

    response = getattr(api, method)(f"{TASKS}{made['id']}/", made)

    assert response.status_code == 200, response.json()
    assert PeriodicTask.objects.get().kwargs == text
    assert response.json()["revision"] == 1


def test_stars_keep_a_secret_beside_a_change(api: ContractClient, canary: str):
    made = api.post(TASKS, delivery(user="ann", login={"password": canary, "host": "a"})).json()
    kwargs = {"user": "bob", "login": {"host": "b", "password": "***"}}

    api.patch(f"{TASKS}{made['id']}/", {"kwargs": kwargs})

    assert kwargs_of(made) == {"user": "bob", "login": {"host": "b", "password": canary}}


def test_secret_can_be_replaced_and_removed(api: ContractClient, canary: str):
    made = api.post(TASKS, delivery(password=make_canary(), token=make_canary())).json()

    api.patch(f"{TASKS}{made['id']}/", {"kwargs": {"password": canary}})

    assert kwargs_of(made) == {"password": canary}


def test_stars_under_another_name_are_a_value(api: ContractClient):
    made = api.post(TASKS, delivery(rating="***")).json()

    assert made["kwargs"] == kwargs_of(made) == {"rating": "***"}


@pytest.mark.parametrize(
    ("kwargs", "pointer"),
    [
        ({"password": "***"}, "/kwargs/password"),
        ({"login": {"password": "***"}}, "/kwargs/login/password"),
        ({"logins": [{"a/token": "***"}]}, "/kwargs/logins/0/a~1token"),
    ],
)
def test_stars_for_a_new_secret_are_refused(
    api: ContractClient, kwargs: dict[str, Any], pointer: str
):
    made = api.post(TASKS, delivery(user="ann")).json()

    answers = [
        api.post(TASKS, {**delivery(**kwargs), "name": "Another"}),
        api.patch(f"{TASKS}{made['id']}/", {"kwargs": kwargs}),
    ]

    for response in answers:
        assert response.status_code == 400
        assert mistakes(response) == [(pointer, "redacted")]
        assert "Send the value itself" in response.json()["detail"]
    assert kwargs_of(made) == {"user": "ann"}


def test_stars_in_a_list_that_moved_are_refused(api: ContractClient):
    logins = [{"user": name, "password": make_canary()} for name in ("ann", "bob")]
    made = api.post(TASKS, delivery(logins=logins)).json()

    response = api.patch(
        f"{TASKS}{made['id']}/", {"kwargs": {"logins": made["kwargs"]["logins"][1:]}}
    )

    assert mistakes(response) == [("/kwargs/logins/0/password", "redacted")]
    assert kwargs_of(made) == {"logins": logins}


def test_stars_stored_by_another_writer_do_not_block_changes(api: ContractClient):
    task = stored(kwargs=json.dumps({"password": "***"}))
    read = api.get(address(task)).json()

    assert api.put(address(task), {**read, "description": "Changed"}).status_code == 200


# --- Checks ---------------------------------------------------------------------------------


def test_arguments_are_checked_with_the_secret_itself(api: ContractClient):
    body = heartbeat(task="a_project.exact", kwargs={"token": 7})
    made = api.post(TASKS, body)
    assert made.status_code == 201
    path = f"{TASKS}{made.json()['id']}/"

    changed = api.patch(path, {"kwargs": {"token": "***", "options": {"a": 1}}})

    assert changed.status_code == 200, changed.json()
    assert kwargs_of(made.json()) == {"token": 7, "options": {"a": 1}}


def test_refusal_does_not_echo_a_secret(api: ContractClient, canary: str):
    response = api.post(TASKS, heartbeat(task="a_project.exact", kwargs={"token": canary}))

    assert mistakes(response) == [("/kwargs/token", "invalid_argument")]
    assert "the value is secret" in response.json()["detail"]
    assert canary not in response.content.decode()


# --- Messages -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # beat closes the connection
def test_message_of_stock_beat_shows_stars_and_carries_the_secret(canary: str):
    task = stored(
        task="project.tasks.sign_in",
        args=json.dumps([{"token": canary}]),
        kwargs=json.dumps({"password": canary}),
    )
    queue = Queue(current_app.conf.task_default_queue)

    with Connection("memory://") as connection:
        bound = queue(connection.default_channel)
        bound.declare()
        DatabaseScheduler(app=current_app, lazy=True).apply_async(
            ModelEntry(task, app=current_app),
            producer=current_app.amqp.Producer(connection),
            advance=False,
        )
        message = bound.get(no_ack=True)

    assert message.payload[:2] == [[{"token": canary}], {"password": canary}]
    assert message.headers["argsrepr"] == "[{'token': '***'}]"
    assert message.headers["kwargsrepr"] == "{'password': '***'}"
    assert canary not in str(message.headers)


@pytest.mark.parametrize("safe", [False, True])
def test_worker_reports_redacted_arguments(canary: str, safe: bool):
    task = current_app.tasks["project.tasks.sign_in"]
    with Connection("memory://") as connection:
        bound = Queue(current_app.conf.task_default_queue)(connection.default_channel)
        bound.declare()
        task.apply_async(([{"token": canary}],), {"password": canary}, connection=connection)
        message = bound.get()

        # Built as by celery.worker.strategy.
        request = symbol_by_name(task.Request)(message, app=current_app, task=task)

    info = request.info(safe=safe)
    assert (request.args, request.kwargs) == ([[{"token": canary}]], {"password": canary})
    assert {"id", "name", "type", "hostname", "time_start", "worker_pid"} < info.keys()
    assert "***" in str(info)
    assert canary not in str(info)


@pytest.mark.django_db
def test_message_without_secrets_is_shown_as_by_celery():
    with Connection("memory://") as connection:
        bound = Queue(current_app.conf.task_default_queue)(connection.default_channel)
        bound.declare()
        current_app.send_task(
            "project.tasks.add", (1,), {"y": 2}, connection=connection, argsrepr="(one)"
        )
        message = bound.get(no_ack=True)

    assert message.headers["argsrepr"] == "(one)"
    assert message.headers["kwargsrepr"] == "{'y': 2}"
