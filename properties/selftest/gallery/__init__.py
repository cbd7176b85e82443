"""Wrong engines: each holds one realistic fault, and is right in everything else."""

from . import basics
from .planting import GALLERY, Wrong

BASICS = [*GALLERY]  # a run of the dev profile finds and shrinks each of these

from . import data, forms, layouts, sizes, state, threads  # noqa: E402 - they add to the gallery

__all__ = ["BASICS", "GALLERY", "Wrong", "basics", "data", "forms", "layouts", "sizes", "state"]
__all__ += ["threads"]
