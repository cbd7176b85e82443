"""Wrong engines: each holds one realistic fault, and is right in everything else."""

from . import basics, data, forms, layouts, sizes, state
from .planting import GALLERY, Wrong

__all__ = ["GALLERY", "Wrong", "basics", "data", "forms", "layouts", "sizes", "state"]
