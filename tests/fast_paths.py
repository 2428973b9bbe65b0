"""The setting FAST_PATHS in tests."""

import pytest
from django.conf import settings

# For a test whose subject is a fast path, which FAST_PATHS=0 turns off.
fast_paths_only = pytest.mark.skipif(not settings.FAST_PATHS, reason="FAST_PATHS is off")
