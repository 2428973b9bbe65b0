"""The settings of the project, and the plain view set beside its own API."""

from project.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.plain"
