"""Which build of an engine an image holds, as far as it is known: the flags of a command are judged for it alone."""

from __future__ import annotations

import re

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.dumps import EngineFlag, History, load_flags, release_numbers
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.image_version import repository_of, version_in_tag

_NOT_RELEASED = late_regex(
    r"20[0-9]{6}|(?<![a-z])(rc[0-9]*|dev[0-9]*|alpha|beta|nightly|preview|exp|custom|patch(ed)?|main|git)"
)
"""Words in a tag, and dates, that say that its number is not that of a release as it was published."""
_AFTER_NUMBER = late_regex(r"[0-9](rc|a|b|\.?dev|alpha|beta)[0-9]*")


@dataclass(frozen=True, slots=True)
class Build:
    """A program that is known to be the engine itself, not a fork.

    `version` is its release or build, empty where it is only known to be some published one. `exact` says that the
    flags of this very version are known; else only what holds for every known version can be said.
    """

    version: str
    exact: bool

    def lacks(self, history: History, word: str) -> bool:
        """Whether this version is known to be older than a flag or a value."""
        change = history.came(word)
        return change is not None and change.not_yet(self.version)

    def has(self, history: History, word: str) -> bool:
        """Whether this version is known to have a flag or a value of the newest one."""
        change = history.came(word)
        return change is None or change.done(self.version)

    def reads_as_now(self, history: History, flag: EngineFlag) -> bool:
        """Whether this version is known to read the values of a flag as the newest one does."""
        change = history.as_now(flag.name)
        if not self.has(history, flag.name):
            return False
        return change is None or change.done(self.version)


def build_in(family: Family, image: str, reported: str = "") -> Build | None:
    """The build in an image; None where it may be a fork, or anything else.

    `reported` is the version that the image itself states in its labels.
    """
    if family.fork_in(image):
        return None
    if reported == version_in_tag(family, image):
        reported = ""
    version = reported or _released(family, image)
    history = load_flags(family).history
    if version and version == reported and version not in history.releases:
        # Labels give a build between releases the number of the next one.
        return Build(version, exact=False)
    if version:
        return Build(version, history.holds(version))
    if repository_of(image) in family.official_images:
        return Build("", exact=False)
    return None


def _released(family: Family, image: str) -> str:
    """The release that the tag of an image states, of an image that is named after the engine; else empty."""
    tag = image.partition("@")[0].rpartition(":")[2].lower()
    if _NOT_RELEASED.search(tag) or _AFTER_NUMBER.search(tag):
        return ""
    if re.search(family.image_words, repository_of(image), re.IGNORECASE) is None:
        return ""
    version = version_in_tag(family, image)
    return version if release_numbers(version) else ""
