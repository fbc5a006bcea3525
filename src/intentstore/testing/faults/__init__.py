"""Faults, for storages of ours and of yours: power cuts, kills, failing calls, damage; each seeded and repeatable.

A `Subject` is a storage under test. `power` records a `Session` on a file system of its own (FUSE) and checks every
image a crash may leave; `errors` fails each call in turn; `damage` flips, cuts and swaps; `processes` and `ext4` kill
and cut for real. Each counts into a `Finding`. What cannot run on a machine is said by a module's ``missing()``.
"""

from .crash import Image, Model, images
from .damage import damage
from .errors import fail_each, fill_up
from .findings import Finding, Report
from .fuse import Mount, mounted
from .kill import kill_each, tree_of
from .power import check_images, record, scratch
from .processes import kill_writers, race_writers
from .safety import Expected, faults_of, opened, read_expected
from .session import Session, Subject

__all__ = [
    "Expected",
    "Finding",
    "Image",
    "Model",
    "Mount",
    "Report",
    "Session",
    "Subject",
    "check_images",
    "damage",
    "fail_each",
    "faults_of",
    "fill_up",
    "images",
    "kill_each",
    "kill_writers",
    "mounted",
    "opened",
    "race_writers",
    "read_expected",
    "record",
    "scratch",
    "tree_of",
]
