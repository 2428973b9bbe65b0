"""The settings of the project, for tests.

A module of its own, since pytest-django reads the settings before any conftest.py.
"""

import os
import tempfile

# No test touches the checkout's own data.
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="scheduler-api-tests-"))
# What is counted in the database costs queries, which tests count, too: those of the limits turn
# them on.
os.environ.setdefault("RATE_LIMIT", "0")
os.environ.setdefault("FAILED_AUTHENTICATION_LIMIT", "0")

from project.settings import *  # noqa: F403
