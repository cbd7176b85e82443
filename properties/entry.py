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
        help="judge MODULE or FILE.py, with :ATTRIBUTE or without: any namespace with functions "
        "named as in torch.nn.functional, their gradients in `grad`, or layers as in torch.nn "
        "(default: the engine of this project)",
    )
    group.addoption(
        "--case",
        action="append",
        default=[],
        metavar="LINE",
        help="run exactly this case (or each line of this file) through every property that takes "
        "single cases",
    )
    group.addoption(
        "--snippet",
        action="store_true",
        help="print a script that shows the difference at --case, without the harness, and stop",
    )
    group.addoption(
        "--keep", metavar="WHY", help="add the lines of --case to the corpus, with this reason"
    )
    group.addoption("--ops", metavar="NAMES", help="draw only these ops: conv1d,conv2d,…")
    group.addoption("--dtypes", metavar="NAMES", help="draw only these dtypes: float32,…")
    group.addoption("--data", metavar="NAMES", help="draw only these data: integers,reals,…")
    group.addoption("--layouts", metavar="NAMES", help="draw only these layouts: contiguous,…")
    group.addoption(
        "--errors",
        choices=("exact", "rejects", "ignore"),
        help="how rejections are held to torch's: its type and argument (default of this "
        "project's engine), rejected at all (of others), or not judged, nor drawn",
    )
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
        "--known",
        metavar="FILE",
        help="known shortcomings, one partial case line and its reason a line: what they cover "
        "is counted, not failed; a line that excuses nothing fails a whole run",
    )
    group.addoption(
        "--write-known", metavar="FILE", help="record all failures, and write such a file"
    )
    group.addoption(
        "--survey",
        action="store_true",
        help="show what the engine can do, op by op and feature by feature, and nothing else",
    )
    group.addoption(
        "--survey-file",
        action="append",
        default=[],
        metavar="FILE",
        help="write the survey to FILE.md or FILE.json as well",
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
    """Load the plugin for a run that asks for it, wherever it starts."""
    if is_asked_for(early_config):
        early_config.pluginmanager.import_plugin(PLUGIN)


def is_asked_for(config: pytest.Config) -> bool:
    """Whether a run names an engine, a case, a baseline, a survey, or the properties."""
    given = config.known_args_namespace
    names_properties = given.pyargs and "properties" in given.file_or_dir
    asked = given.engine or given.case or given.baseline or given.survey or given.survey_file
    return bool(asked or names_properties)
