"""One report from those of several jobs or machines: `python -m properties.merge part*.json`.

The parts are what `pytest --shard K/N --report FILE` writes, or runs of other seeds. Counts are
added, faults that are the same are one, and what the run proves is computed anew from the sums.
The exit code is 1 where a part failed or is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .gate.gate import to_step_summary, verdict
from .session.report import summary
from .statistics.claims import claims
from .statistics.part import Part
from .statistics.statistics import Statistics

Report = dict[str, Any]  # as --report writes it
ALIKE = ("engine", "versions", "against", "identical")  # what all parts must have in common
LISTS = ("tests", "properties", "relations", "lines")  # of a fault, which each part adds to


def read(paths: Sequence[str]) -> list[Report]:
    """The parts; what can't be merged is a `SystemExit`."""
    found: list[Report] = []
    for path in paths:
        try:
            part = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: expected a file that --report wrote: {error}") from None
        if not isinstance(part, dict) or not {"shard", "ops", "failing"} <= part.keys():
            raise SystemExit(f"{path}: expected a file that --report wrote, got other JSON")
        for name in ALIKE:
            if part[name] != (first := (found or [part])[0])[name]:
                raise SystemExit(
                    f"{path}: its {name} is {part[name]!r}, that of {paths[0]} is {first[name]!r}; "
                    f"expected parts of one run"
                )
        found.append(part)
    return found


def missing(parts: Sequence[Report]) -> list[str]:
    """The shards that are not there; a `SystemExit` where one is there twice."""
    there = Counter((part["shard"], part["seed"]) for part in parts)
    twice = [f"{shard} of seed {seed}" for (shard, seed), n in there.items() if n > 1]
    if twice:
        raise SystemExit(f"the same part more than once: {', '.join(twice)}")
    shards = [Part.read(shard) for shard, _ in there]
    wanted = {Part(index, shard.of): None for shard in shards for index in range(shard.of)}
    return [str(shard) for shard in wanted if shard not in shards]


def merged(parts: Sequence[Report]) -> Report:
    """One report of all parts."""
    statistics = Statistics()
    for part in parts:
        statistics.merge(part)
    return {
        **{name: parts[0][name] for name in ALIKE},
        **{name: listed(part[name] for part in parts) for name in ("profile", "seed", "shard")},
        "exitstatus": max(part["exitstatus"] for part in parts),
        **statistics.dump(),
        "faults": faults(parts),
        "failing": [*dict.fromkeys(line for part in parts for line in part["failing"])],
    }


def listed(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def faults(parts: Sequence[Report]) -> list[Report]:
    """The faults of all parts: those of one kind and case are one, shown by all their tests."""
    found: dict[tuple[str, str], Report] = {}
    for fault in [fault for part in parts for fault in part.get("faults", ())]:
        key = fault["kind"], fault["line"] if fault["settled"] else ""
        known = found.setdefault(key, fault)
        for name, value in fault.items():
            if name in LISTS:
                known[name] = [*dict.fromkeys([*known[name], *value])]
    return sorted(found.values(), key=lambda fault: (not fault["settled"], -len(fault["tests"])))


def printed(whole: Report, absent: Sequence[str]) -> Iterator[str]:
    """What a person reads of the merged report."""
    statistics = Statistics()
    statistics.merge(whole)
    yield f"engine {whole['engine']}, {whole['versions']}; seeds {whole['seed']}"
    yield f"shards {whole['shard']}" + (f"; MISSING: {', '.join(absent)}" if absent else "")
    yield from summary(statistics)
    if whole["exitstatus"] == 0:
        yield from claims(statistics)
    for fault in whole["faults"]:
        yield f"{fault['kind']}: {fault['headline']}, in {len(fault['tests']):,} tests"
        yield f"  replay    {fault['replay']}"
    if not whole["faults"]:
        yield from whole["failing"]
    if whole["against"]:
        yield f"held against {whole['against']}"
        yield from verdict(statistics.changes, identical=whole["identical"])


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m properties.merge", description=__doc__)
    parser.add_argument("parts", nargs="+", metavar="FILE", help="what --report wrote")
    parser.add_argument("--report", metavar="FILE", help="write the merged report as JSON")
    parser.add_argument("--failing", metavar="FILE", help="write failing lines, fit for --case")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    o = options(argv)
    parts = read(o.parts)
    absent = missing(parts)
    whole = merged(parts)
    lines = [*printed(whole, absent)]
    print("\n".join(lines))
    to_step_summary("All parts together", lines)
    if o.report:
        Path(o.report).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    if o.failing:
        text = "".join(f"{line}\n" for line in whole["failing"])
        Path(o.failing).write_text(text, encoding="utf-8")
    return int(bool(absent) or whole["exitstatus"] != 0)


if __name__ == "__main__":
    sys.exit(main())
