"""The options of the harness, known to every run of pytest where this package is installed.

pytest takes what follows an unknown option for a path. So the options are registered here, by an
entry point that costs nothing else; the plugin itself is loaded by this project's own settings,
or by the first option that asks for it: ``pytest --pyargs properties --engine mypackage.conv``.
"""

from __future__ import annotations

import pytest

PLUGIN = "properties.plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("convolutions", "the engine that is judged, and on what")
    group.addoption(
        "--engine",
        default=None,
        metavar="SPEC",
        help="judge MODULE, MODULE:ATTRIBUTE or FILE.py: any namespace with functions named as "
        "in torch.nn.functional (default: the engine of this project)",
    )
    group.addoption(
        "--case",
        action="append",
        default=[],
        metavar="LINE",
        help="run exactly this case (or each line of this file) through every property",
    )
    group.addoption("--ops", metavar="NAMES", help="draw only these ops: conv1d,conv2d,…")
    group.addoption("--dtypes", metavar="NAMES", help="draw only these dtypes: float32,…")
    group.addoption(
        "--examples", type=int, metavar="N", help="cases per shard, instead of the profile's"
    )
    group.addoption(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="spend this wall-clock time, in every worker, on cases from a plain random generator",
    )
    group.addoption(
        "--baseline",
        metavar="REV",
        help="hold the engine against another one on the same cases, and say what has changed: "
        "its own code as of a git revision, MODULE, or FILE.py",
    )
    group.addoption(
        "--identical",
        action="store_true",
        help="with --baseline: fail for any change, of a bit, a rejection or a message",
    )
    group.addoption(
        "--shard",
        metavar="K/N",
        help="do the K-th of N parts of the work, with random cases that no other part draws",
    )
    group.addoption("--report", metavar="FILE", help="write the summary as JSON")
    group.addoption("--failing", metavar="FILE", help="write failing lines, fit for --case FILE")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Load the plugin for a run that names an engine or a case, wherever it starts."""
    given = early_config.known_args_namespace
    if given.engine or given.case or given.baseline:
        early_config.pluginmanager.import_plugin(PLUGIN)
