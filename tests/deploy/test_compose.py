"""compose.yaml and the Dockerfile, as far as they can be run without containers."""

import json
import re
import shlex
import subprocess
import sys
import uuid

import psycopg
import pytest
import yaml
from kombu import Connection

from project.embedded.up import PROCESSES
from tests.processes import ROOT, wait_until

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("migrate", *PROCESSES)
DOT_ENV = {"SECRET_KEY": "01234" * 10, "POSTGRES_PASSWORD": "pg1", "RABBITMQ_PASSWORD": "mq1"}


def filled_in(value: object, **environ: str) -> str:
    """Fill in `${NAME:-default}` and `${NAME:?reason}` as compose does."""

    def replace(match: re.Match[str]) -> str:
        name, operator, text = match.groups()
        return environ[name] if name in environ or operator == ":?" else text

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", replace, str(value))


def environment(service: str) -> dict[str, str]:
    return {
        name: filled_in(value, **DOT_ENV)
        for name, value in SERVICES[service]["environment"].items()
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].partition(":")[0] not in {"root", "0"}
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_the_containers_of_ours_keep_nothing(name):
    assert "volumes" not in SERVICES[name]


def test_only_the_api_and_its_proxy_are_published_and_on_loopback():
    published = {
        name: service["ports"] for name, service in SERVICES.items() if "ports" in service
    }

    assert published.keys() == {"api", "proxy"}
    assert [filled_in(port) for port in published["api"]] == ["127.0.0.1:8000:8000"]
    assert [filled_in(port) for port in published["proxy"]] == ["127.0.0.1:8080:8080"]


def test_proxy_starts_on_demand_alone():
    assert SERVICES["proxy"]["profiles"] == ["proxy"]
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["proxy"]


def test_every_secret_must_be_set():
    text = (ROOT / "compose.yaml").read_text()

    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(DOT_ENV)
    for name in DOT_ENV:
        assert not re.search(rf"\$\{{{name}(?!:\?)", text)


def test_the_others_wait_for_the_migration():
    for name in PROCESSES:
        assert SERVICES[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("postgres", "rabbitmq"):
        assert "healthcheck" in SERVICES[name]


def test_the_commands_are_those_of_make_up():
    assert {name: SERVICES[name]["command"] for name in PROCESSES} == PROCESSES
    command = re.search(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert json.loads(command[1]) == PROCESSES["api"]


def test_the_settings_read_what_compose_sets(tmp_path):
    names = ["DATABASES", "BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS", "TIME_ZONE", "HOST"]
    names += ["PORT", "LOGGING", "PROXIES", "QUEUES", "WORKER_QUEUES", "QUEUE_MAX_PRIORITY"]
    script = (
        f"import json, project.settings as s; print(json.dumps([getattr(s, n) for n in {names}]))"
    )

    environ = {**environment("api"), "DATA_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, check=True
    )

    *values, proxies, our_queues, consumed, priorities = json.loads(result.stdout)
    databases, broker, key, hosts, zone, host, port, log = values
    database = databases["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert [database[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        SERVICES["postgres"]["environment"]["POSTGRES_USER"],
        "pg1",
        "postgres",
        5432,
        SERVICES["postgres"]["environment"]["POSTGRES_DB"],
    ]
    user = SERVICES["rabbitmq"]["environment"]["RABBITMQ_DEFAULT_USER"]
    assert broker == f"amqp://{user}:mq1@rabbitmq:5672//"
    assert key == DOT_ENV["SECRET_KEY"]
    assert hosts == ["localhost", "127.0.0.1"]
    assert (zone, host, port, log["root"]["level"]) == ("UTC", "0.0.0.0", 8000, "INFO")
    assert log["handlers"]["stderr"]["formatter"] == "json"
    assert proxies == 0
    assert (our_queues, consumed, priorities) == (["celery"], ["celery"], 0)
    # Each variable that compose sets is in one of the assertions above.
    assert environ.keys() - {"DATA_DIR"} == {
        "DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS", "TIME_ZONE", "HOST", "PORT",
        "LOG_LEVEL", "LOG_FORMAT", "PROXIES", "QUEUES", "WORKER_QUEUES", "QUEUE_MAX_PRIORITY",
        "FORWARDED_ALLOW_IPS",  # gunicorn reads it
    }  # fmt: skip
    # The root file system is read-only; the static files are in the image.
    assert {path.name for path in tmp_path.iterdir()} <= {"static"}


@pytest.fixture
def database_url(postgres_url):
    """A database of its own."""
    name = f"deploy_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres_url.rpartition("/")[0] + "/" + name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def queue(rabbitmq_url):
    """A queue of its own."""
    name = f"deploy-{uuid.uuid4().hex}"
    yield name
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_delete(name)
        connection.default_channel.exchange_delete(name)


def test_commands_and_health_checks_run_on_real_services(
    processes, database_url, rabbitmq_url, queue
):
    ours = {"DATABASE_URL": database_url, "BROKER_URL": rabbitmq_url, "QUEUES": queue}
    ours |= {"HOSTNAME": "box", "PORT": str(processes.port)}

    def start(command: list[str], service: str):
        environ = {**environment(service), **ours}
        return processes.start(*command, python=False, **environ)

    migrate = start(SERVICES["migrate"]["command"], "migrate")
    assert migrate.exit_code(within=30) == 0, migrate.output()
    api = start(SERVICES["api"]["command"], "api")
    beat = start(SERVICES["beat"]["command"], "beat")
    worker = start([*SERVICES["worker"]["command"], "-n", "celery@box"], "worker")
    worker.says(" ready.")
    beat.says("beat: Starting...")
    wait_until(processes.answers, why=api.output)

    kind, *command = SERVICES["api"]["healthcheck"]["test"]
    assert kind == "CMD"
    command = [word.replace(":8000", f":{processes.port}") for word in command]
    assert start(command, "api").exit_code() == 0
    kind, line = SERVICES["worker"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    ping = start(["sh", "-c", line.replace("$$", "$")], "worker")
    assert ping.exit_code() == 0, ping.output()
    assert "pong" in ping.output()

    for started in (beat, api, worker):
        started.process.terminate()
        assert started.exit_code() == 0
    processes.are_gone(within=1)
    # As on a read-only root: not even a key was written.
    assert [path for path in processes.data_dir.rglob("*") if path.is_file()] == []


def test_the_image_takes_only_what_it_names():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(shlex.split(line)[1:-1])

    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)
