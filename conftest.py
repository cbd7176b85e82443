"""Loads the harness's plugin where neither the settings nor an option of the run has."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("properties.plugin")
