"""The exception for invalid input, and the parts of its message that help to correct it."""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 12


class UserError(ValueError):
    """An invalid input, reported in one sentence without a traceback.

    The message names what was given, what is allowed and the nearest valid name.
    """


class Interrupted(Exception):
    """A signal has ended a training, which can be resumed.

    Args:
        message: what was stopped, and where.
        exit_code: of the command. After SIGTERM it is 75, EX_TEMPFAIL of sysexits.h: what failed
            may be tried again, and launcher scripts resubmit on it. After Ctrl-C it is 130, as
            shells have it, on which nothing is resubmitted.
    """

    BY_SYSTEM = 75
    BY_USER = 130

    def __init__(self, message: str, exit_code: int = BY_SYSTEM):
        super().__init__(message)
        self.exit_code = exit_code


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """Return the member of `allowed` that is spelt most like `name`, ignoring case, or None."""
    names = sorted({str(a) for a in allowed})
    spellings = [a.casefold() for a in names]
    found = difflib.get_close_matches(str(name).casefold(), spellings, n=1, cutoff=0.5)
    same = [a for a in names if [a.casefold()] == found]
    return next(iter(difflib.get_close_matches(str(name), same, n=1, cutoff=0.0)), None)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest of `allowed`, or `"."` if none is close."""
    found = closest(name, allowed)
    return f"; did you mean {found!r}?" if found else "."


def unknown(what: str, name: str, allowed: Iterable[str]) -> UserError:
    """Return the error for a `name` that is not among `allowed`; `what` is the kind of name."""
    allowed = sorted({str(a) for a in allowed})
    if not allowed:
        return UserError(f"unknown {what} {name!r}: none are registered.")
    listed = ", ".join(allowed[:_MOST_LISTED])
    more = f" and {len(allowed) - _MOST_LISTED} more" if len(allowed) > _MOST_LISTED else ""
    return UserError(f"unknown {what} {name!r}{nearest(name, allowed)} Allowed: {listed}{more}.")


def missing_extra(package: str, extra: str) -> UserError:
    """Return the error for an optional dependency that is not installed."""
    return UserError(f"{package} is not installed: run  pip install 'atmorep-k[{extra}]'")
