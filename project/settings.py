"""Django settings of the deployable, from environment variables that README lists."""

from pathlib import Path
from zoneinfo import available_timezones

from kombu import Exchange, Queue

from project.embedded.samples import sample_entries
from project.environment import (
    allowed_hosts,
    broker,
    data_dir,
    database,
    earlier_secret_keys,
    env,
    flag,
    is_embedded_database,
    log_format,
    log_level,
    private_addresses,
    refuse,
    request_hosts,
    secret_key,
    unregistered_tasks,
    whole_number,
    words,
)

VERSION = "0.1.0"

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = data_dir(BASE_DIR / ".data")

# --- Django ---------------------------------------------------------------------------------

DEBUG = flag("DEBUG", default=False)
SECRET_KEY = secret_key(DATA_DIR / "secret.key", may_be_weak=DEBUG)
SECRET_KEY_FALLBACKS = earlier_secret_keys()
ALLOWED_HOSTS = allowed_hosts(may_be_any=DEBUG)

HOST = env("HOST", default="127.0.0.1")
PORT = whole_number("PORT", default=8000, at_least=1, at_most=65535)
API_PROCESSES = whole_number("API_PROCESSES", default=2, at_least=1, at_most=1000)
API_THREADS = whole_number("API_THREADS", default=8, at_least=1, at_most=1000)
# How many connections a process keeps open, in all and of one address; at a bound, the one that
# has waited longest for its client gives way to a new one.
API_CONNECTIONS = whole_number("API_CONNECTIONS", default=1000, at_least=10, at_most=100_000)
API_CONNECTIONS_PER_ADDRESS = whole_number(
    "API_CONNECTIONS_PER_ADDRESS", default=100, at_least=1, at_most=100_000
)

INSTALLED_APPS = [
    # Before the apps whose templates it replaces.
    "scheduler_api",
    "scheduler_api.apps.LimitedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]
MIDDLEWARE = [
    "scheduler_api.http.middleware.RequestIdMiddleware",
    "scheduler_api.http.middleware.AccessLogMiddleware",
    "scheduler_api.http.middleware.SafeHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "scheduler_api.http.static_files.StaticFilesMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "scheduler_api.http.middleware.StorablePathMiddleware",
    "scheduler_api.http.middleware.OptionalSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
# With HSTS, browsers use HTTPS only.
SECURE_HSTS_SECONDS = whole_number("HSTS_SECONDS", default=0, at_least=0, at_most=2**31 - 1)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_HSTS_SECONDS > 0

# The largest body that a view accepts (`max_body_bytes`).
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

DEFAULT_DATABASE = DATA_DIR / "db.sqlite3"
DATABASES = {"default": database(DEFAULT_DATABASE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TIME_ZONE = env("TIME_ZONE", default="UTC")
if TIME_ZONE not in available_timezones():
    refuse("TIME_ZONE", f"is {TIME_ZONE!r}", "use a name such as UTC or Europe/Berlin")
USE_TZ = True

STATIC_URL = "static/"
# Each process serves the files from the apps' own folders, without collectstatic.
WHITENOISE_USE_FINDERS = True

DEFAULT_EXCEPTION_REPORTER_FILTER = "project.logs.DebugPageFilter"
LOGGING_CONFIG = "project.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "class": "project.logs.TextFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
        "json": {"class": "project.logs.JSONFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": log_format()}},
    "filters": {"above_debug": {"()": "project.logs.AboveDebug"}},
    "root": {"handlers": ["stderr"], "level": log_level()},
    # These have handlers of their own, or do not propagate.
    "loggers": {
        "django": {"propagate": True},
        "django.server": {"propagate": True, "level": "ERROR"},
        "gunicorn.error": {"propagate": True, "level": "NOTSET"},
        "multiprocessing": {"propagate": True, "level": "ERROR"},
        # At DEBUG these two log the arguments of tasks, secrets included.
        "celery.pool": {"filters": ["above_debug"]},
        "django_celery_beat.schedulers": {"filters": ["above_debug"]},
        # The access log has each request; this logger has the traceback of a 500.
        "django.request": {"level": "ERROR"},
        # It would add the traceback of each request with another Host.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# --- REST framework -------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["scheduler_api.access.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        # The first, so that requests refused for their scope count, too.
        "scheduler_api.access.throttling.WithinRateLimit",
        "scheduler_api.access.permissions.HasScope",
    ],
    "DEFAULT_PARSER_CLASSES": ["scheduler_api.http.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["scheduler_api.http.rendering.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "scheduler_api.http.paging.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["scheduler_api.http.filtering.FilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "scheduler_api.openapi.schema.ApiSchema",
    "EXCEPTION_HANDLER": "scheduler_api.http.handlers.problem_response",
    "UNAUTHENTICATED_USER": None,
    # Callers choose the media type of a response by Accept alone.
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Scheduler API",
    "DESCRIPTION": """\
Schedules Celery tasks: defines which task runs, when and with which arguments, and records each
run.

- **Authentication**: send the header `Authorization: Bearer <API key>`.
- **Bodies** are JSON. An unknown field is refused. A read-only field may be sent back as it was
  in a response; it is ignored.
- **Times** in requests have a UTC offset; times in responses are in UTC.
- **Lists** are paginated: follow `next` until it is null.
- **Errors** are problem details (RFC 9457): `code` and `errors` are for programs, `detail` is for
  people.
- **Dry runs**: with `dry_run=true`, a write is checked and gets its response, but nothing is
  stored.
- **Request IDs**: each response has an `X-Request-Id`, the one that you sent or a new one.
- **Rate limits**: the header `RateLimit` has the number of requests left in the current minute. A
  request over the limit gets 429.
""",
    "VERSION": VERSION,
    "LICENSE": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
    "SERVERS": [{"url": "/", "description": "This server"}],
    # In the order in which a newcomer needs them.
    "TAGS": [
        {"name": "Periodic tasks", "description": "Celery tasks that run on a schedule."},
        {"name": "Runs", "description": "Executions of periodic tasks: history and statistics."},
        {
            "name": "Schedules",
            "description": "Crontab, interval, solar and clocked schedules, shared by tasks.",
        },
        {"name": "Tasks", "description": "Celery tasks that can be scheduled."},
        {"name": "Workers", "description": "Celery workers that report to the service."},
        {"name": "Webhooks", "description": "Subscriptions to events, and their deliveries."},
        {
            "name": "Manifest",
            "description": "All periodic tasks of a service account as one document.",
        },
        {"name": "Access", "description": "Service accounts, their API keys, and the audit log."},
        {"name": "Index", "description": "Links to all collections."},
    ],
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    # The schema and its pages need no key.
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "scheduler_api.openapi.bodies.describe_defaults",
        "scheduler_api.openapi.headers.add_headers",
        "scheduler_api.openapi.problems.add_problems",
        "scheduler_api.webhooks.schema.add_webhooks",
        "scheduler_api.openapi.examples.move_examples",
        "scheduler_api.openapi.inheritance.extend",
        "scheduler_api.openapi.sharing.share",
    ],
    # From our own static files, so that a page fetches nothing from another host.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # JavaScript. The API reads no cookie: drf-spectacular's own interceptor would put a CSRF
    # token into each request, and into the curl command that people copy.
    "SWAGGER_UI_SETTINGS": (
        "{deepLinking: true, defaultModelsExpandDepth: 0, requestInterceptor: (sent) => sent}"
    ),
    "REDOC_DIST": "SIDECAR",
}

# --- Celery ---------------------------------------------------------------------------------

# Not CELERY_BROKER_URL: Celery would print its password (project.celery).
BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker(DATA_DIR / "broker")

CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None
CELERY_WORKER_CONCURRENCY = whole_number("WORKER_CONCURRENCY", default=2, at_least=1, at_most=1000)
if BROKER_URL.startswith("filesystem"):
    CELERY_WORKER_POOL = "project.embedded.pool:TaskPool"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# The queues that callers may name, and the queues that our workers consume.
QUEUES = words("QUEUES", default=["celery"])
WORKER_QUEUES = words("WORKER_QUEUES", default=QUEUES[:1])
QUEUE_MAX_PRIORITY = whole_number("QUEUE_MAX_PRIORITY", default=0, at_least=0, at_most=255)
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name, max_priority=QUEUE_MAX_PRIORITY or None)
    for name in dict.fromkeys([*QUEUES, *WORKER_QUEUES])
]
CELERY_TASK_DEFAULT_QUEUE = QUEUES[0]
CELERY_TASK_CREATE_MISSING_QUEUES = False

CELERY_BEAT_SCHEDULER = "scheduler_api.beat:DatabaseScheduler"
# For the stock scheduler, if it runs on this database: the same intervals as ours.
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SYNC_EVERY = 1
# Samples in the embedded database, and nothing in any other: that may be adopted.
CELERY_BEAT_SCHEDULE = sample_entries(DEFAULT_DATABASE) if is_embedded_database() else {}

# --- Scheduler API --------------------------------------------------------------------------

# Whether prebuilt messages, prepared statements and the fast list reader are used. Without them,
# Celery, Django and REST framework do the same work, more slowly.
FAST_PATHS = flag("FAST_PATHS", default=True)

# Whether Django admin is served, at /admin/.
DJANGO_ADMIN = flag("DJANGO_ADMIN", default=True)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]

# Whether a change of a definition requires If-Match.
REQUIRE_IF_MATCH = flag("REQUIRE_IF_MATCH", default=False)

# How many seconds a slot may wait for beat before its misfire policy applies.
MISFIRE_GRACE = whole_number("MISFIRE_GRACE", default=10, at_least=1, at_most=3600)

# After how many seconds without a sign of its process a run is lost; the process gives three signs
# in that time. More than the 10 seconds after which a worker reports a lost process itself.
RUN_LEASE_SECONDS = whole_number("RUN_LEASE_SECONDS", default=60, at_least=15, at_most=3600)

# Whether callers may set `exchange` and `routing_key` of a periodic task. With them, a message can
# go to any exchange of the broker.
ALLOW_CUSTOM_ROUTING = flag("ALLOW_CUSTOM_ROUTING", default=False)
# The version of the project's code, which workers report.
APP_VERSION = env("APP_VERSION", default=VERSION)
# Whether to accept and send a task that neither this process nor a worker has ever had.
UNREGISTERED_TASKS = unregistered_tasks()
# The requests per minute of an account, and the failed authentications per minute of an address;
# 0 for no limit.
RATE_LIMIT = whole_number("RATE_LIMIT", default=6000, at_least=0, at_most=10**9)
FAILED_AUTHENTICATION_LIMIT = whole_number(
    "FAILED_AUTHENTICATION_LIMIT", default=60, at_least=0, at_most=10**9
)
# How many seconds a request may wait for rows that others have locked, for one statement, and
# between two statements of a transaction. Beyond them it is refused with 503.
LOCK_TIMEOUT_SECONDS = whole_number("LOCK_TIMEOUT_SECONDS", default=10, at_least=1, at_most=3600)
STATEMENT_TIMEOUT_SECONDS = whole_number(
    "STATEMENT_TIMEOUT_SECONDS", default=30, at_least=1, at_most=3600
)
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = whole_number(
    "IDLE_IN_TRANSACTION_TIMEOUT_SECONDS", default=30, at_least=1, at_most=3600
)
# How long runs stay in the ledger, and how many per periodic task.
RUN_RETENTION_DAYS = whole_number("RUN_RETENTION_DAYS", default=30, at_least=1, at_most=36500)
RUNS_KEPT_PER_TASK = whole_number("RUNS_KEPT_PER_TASK", default=10_000, at_least=1, at_most=10**9)
# How many slots one call may backfill, and how many backfilled runs of a periodic task may be
# queued or running at a time.
MAX_BACKFILL = whole_number("MAX_BACKFILL", default=1000, at_least=1, at_most=10_000)
BACKFILL_AT_ONCE = whole_number("BACKFILL_AT_ONCE", default=10, at_least=1, at_most=1000)
# How many periodic tasks a manifest may name. The time of a request grows with it.
MAX_MANIFEST_ENTRIES = whole_number(
    "MAX_MANIFEST_ENTRIES", default=500, at_least=1, at_most=10_000
)
# The number of our own proxies before the API: that many entries of X-Forwarded-For are trusted.
PROXIES = whole_number("PROXIES", default=0, at_least=0, at_most=100)
# Private networks that webhooks and http_request may reach.
OUTGOING_PRIVATE_ADDRESSES = private_addresses()
# The hosts that the task http_request may call; without any, none.
HTTP_REQUEST_HOSTS = request_hosts()
# Arguments with these names are secrets: only the worker gets them. A pattern without `*` matches
# words of a name. Left out are names that are rarely secret: `key`, `pass`, `pin`.
REDACTED_KWARGS = words(
    "REDACTED_KWARGS",
    default=[
        *("*password*", "*passwd*", "*passphrase*", "*_pass", "passcode", "pwd", "pw"),
        *("*secret*", "*token", "token", "tokens", "jwt", "bearer", "otp", "totp", "csrf"),
        *("*credential*", "creds", "*auth", "*authorization*", "*cookie*", "session_id"),
        *("access_key", "account_key", "api_key", "auth_key", "client_key", "encryption_key"),
        *("license_key", "master_key", "private_key", "session_key", "shared_key", "signing_key"),
        *("ssh_key", "storage_key", "dsn", "connection_string", "conn_str", "cvc", "cvv"),
    ],
)
