"""Loads the harness's plugin."""

pytest_plugins = ["properties.plugin"]
