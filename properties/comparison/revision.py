"""The baseline that --baseline names: another module or file, or the engine as of a git revision.

A revision is read from history with ``git archive``, into a folder that the caller removes; the
work tree is not touched. Of a file its one file is read, of a package all its modules, which must
import one another relatively: an absolute import would reach the present ones.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from .engine import Engine
from .loading import EngineError, load, load_package
from .outcome import one_line

NAME = "engine_of_the_baseline"  # beside the present one


def load_baseline(spec: str, engine: Engine, folder: Path) -> Engine:
    """The engine that `spec` names, to hold `engine` against.

    Parameters
    ----------
    spec : str
        FILE.py or MODULE, with :ATTRIBUTE or without, as for --engine, or else a git revision, of
        which `engine`'s own file or package is read.
    engine : Engine
        The candidate.
    folder : Path
        A place for what is read from history, of this process alone.
    """
    with _told():
        if _is_in_file(spec) or _is_module(spec):
            return load(spec)
        return _in_history(spec, engine, folder)


@contextmanager
def _told() -> Iterator[None]:
    """Under the name of the option that was given."""
    try:
        yield
    except EngineError as error:
        raise EngineError(f"--baseline{str(error).removeprefix('--engine')}") from error


def resolved(spec: str, engine: Engine) -> str:
    """`spec` with a revision replaced by its commit, which no later commit or fetch changes."""
    if _is_in_file(spec) or _is_module(spec):
        return spec
    with _told():
        return _Source.of(spec, engine).commit(spec)


def _is_in_file(spec: str) -> bool:
    """Whether it is FILE.py or FILE.py:ATTRIBUTE."""
    return spec.endswith(".py") or ".py:" in spec


def _is_module(spec: str) -> bool:
    """Whether Python finds it; a folder without code is no module."""
    name = spec.partition(":")[0]
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    top = name.partition(".")[0]
    found = importlib.util.find_spec(top) or PathFinder.find_spec(top, [""])
    return found is not None and found.origin is not None


def _in_history(name: str, engine: Engine, folder: Path) -> Engine:
    source = _Source.of(name, engine)
    commit = source.commit(name)
    archive = source.git("archive", commit, "--", source.path.as_posix())
    if archive.returncode:
        raise EngineError(f" {name}: revision {commit[:10]} has no {source.path}")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    found = _loaded(name, engine, folder / source.path)
    about = source.git("show", "--no-patch", "--format=%h, %cs, %s", commit).stdout
    found.origin = f"commit {about.decode(errors='replace').strip()}"
    found.strict = engine.strict
    return found


def _loaded(name: str, engine: Engine, path: Path) -> Engine:
    """The engine in `path`, found there as the candidate is found in its module."""
    module, _, attribute = ("" if _is_file(engine) else engine.spec).partition(":")
    package, _, inner = module.partition(".")
    try:
        _check_imports(package, path)
        return load_package(name, path, NAME, inner, attribute)
    except EngineError as error:
        raise EngineError(f" {name}: {str(error).removeprefix(f'--engine {name}: ')}") from error
    except (Exception, SystemExit) as error:
        raise EngineError(f" {name}: cannot import it: {one_line(error)}") from error


def _check_imports(package: str, path: Path) -> None:
    for absolute in _imports_of(package, path):
        raise EngineError(
            f"{absolute} imports {package} by its absolute name, which is the present one; "
            f"expected relative imports within a package whose revision is loaded"
        )


def _imports_of(package: str, path: Path) -> Iterator[str]:
    """The files below `path` that import `package` by its absolute name."""
    for file in sorted(path.rglob("*.py")):
        nodes = [*ast.walk(ast.parse(file.read_bytes()))]
        names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        names += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
        if package in {name.partition(".")[0] for name in names}:
            yield file.relative_to(path.parent).as_posix()


@dataclass(frozen=True)
class _Source:
    """Where an engine's code lies: in which git checkout, and under which path there."""

    root: Path
    path: Path

    @classmethod
    def of(cls, name: str, engine: Engine) -> _Source:
        place = _place(engine)
        found = _git(place.parent, "rev-parse", "--show-toplevel")
        if found.returncode:
            raise EngineError(
                f" {name}: neither a module nor a file, and no revision either: {place} is in no "
                f"git checkout; expected MODULE or FILE.py"
            )
        root = Path(found.stdout.decode().strip())
        return cls(root, place.relative_to(root))

    def git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return _git(self.root, *arguments)

    def commit(self, name: str) -> str:
        """The whole hash of a revision."""
        found = self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if found.returncode == 0:
            return found.stdout.decode().strip()
        if self.git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
            raise EngineError(
                f" {name}: no such revision in this shallow clone; get all of them with "
                f"'git fetch --unshallow' (in a workflow: actions/checkout with fetch-depth: 0)"
            )
        raise EngineError(
            f" {name}: neither a module, a file nor a revision in {self.root}; 'git branch --all' "
            f"and 'git log' list revisions, 'git fetch' gets those of a remote"
        )


def _is_file(engine: Engine) -> bool:
    return engine.spec.endswith(".py")


def _place(engine: Engine) -> Path:
    """The file, or the folder of the package, that has an engine's code."""
    if _is_file(engine):
        return Path(engine.spec).resolve()
    module = sys.modules[engine.spec.partition(":")[0].partition(".")[0]]
    if not (file := getattr(module, "__file__", None)):
        raise EngineError(f" HEAD: {engine.spec} has no file, so no history")
    path = Path(file).resolve()
    return path.parent if path.name == "__init__.py" else path


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise EngineError(": a revision is read with git, which is not installed") from None
