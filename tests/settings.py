"""The settings of the project, for tests.

A module of its own, since pytest-django reads the settings before any conftest.py.
"""

import os
import tempfile

# No test touches the checkout's own data.
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="scheduler-api-tests-"))

from project.settings import *  # noqa: F403
