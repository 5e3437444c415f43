"""`atmorep-k data check`: may training start? Looks at all of a store, says what is wrong."""

from collections.abc import Callable, Mapping
from pathlib import Path

from atmorep_k.data.checking.files import FileCheck, unfinished
from atmorep_k.data.checking.findings import CheckReport, Finding
from atmorep_k.data.checking.record import check_axes
from atmorep_k.data.checking.statistics import check_fingerprint, check_statistics
from atmorep_k.data.checking.value_reader import LinkedFiles, values_of
from atmorep_k.data.checking.values import check_stored_values, survey_values
from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.opening import open_group, open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.errors import UserError

_NOT_OPENED = "not checked, because the store cannot be opened"


def check(
    path: str | Path,
    *,
    fast: bool = False,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Looks for what would harm a training: in the record, the files, the values, the statistics.

    Damage is a finding, never an exception. Memory does not grow with the record, see
    `survey_values`.

    Args:
        path: the store, ours or one of the original AtmoRep.
        fast: leave the values out.
        threads: files and blocks of values that are read at once.
        progress: called with the bytes that were looked at, and their total.

    Raises:
        UserError: if there is no store.
    """
    path = Path(path)
    left = unfinished(path)
    if left and not path.exists():
        return _unopened(path, [_as_error(f) for f in left])
    group = open_group(path)
    if "time" not in group:
        return _unopened(path, [*left, _not_a_store(path)])
    axes = check_axes(group)
    try:
        store = open_store(path)
    except UserError as error:
        broken = [] if axes else [Finding("error", "record", str(error).rstrip("."))]
        return _unopened(path, [*left, *axes, *broken])
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        unreadable = Finding("error", "record", f"the store cannot be opened: {error}")
        return _unopened(path, [*left, *axes, unreadable])
    return _Check(store, fast, threads, progress).report([*axes, *left])


def _as_error(finding: Finding) -> Finding:
    return Finding("error", finding.part, finding.sentence)


def _not_a_store(path: Path) -> Finding:
    return Finding(
        "error",
        "record",
        f"{path} has no time axis: it is not a store, or writing it did not finish",
    )


def _unopened(path: Path, findings: list[Finding]) -> CheckReport:
    parts = dict.fromkeys(("files", "values", "statistics"), _NOT_OPENED)
    return CheckReport(str(path), tuple(findings), {"record": "its axes", **parts})


class _Check:
    """The check of a store that could be opened.

    Args:
        store: the store.
        fast: leave the values out.
        threads: files and blocks that are read at once.
        progress: called with bytes done and in all.
    """

    def __init__(self, store: Store, fast: bool, threads: int, progress):
        self._store, self._fast, self._threads = store, fast, threads
        self._progress, self._done, self._total = progress, 0, 0

    def report(self, findings: list[Finding]) -> CheckReport:
        """Runs all checks.

        Args:
            findings: what is known already.
        """
        found = list(findings)
        checks: dict[str, FileCheck | LinkedFiles] = {}
        for name in self._store.variables:
            try:
                self._check_sizes(name)
                if isinstance(self._store, LinkedStore):
                    checks[name] = LinkedFiles(self._store, name, self._threads)
                else:
                    checks[name] = FileCheck(self._store, name, self._threads)
            except (ValueError, KeyError, OSError) as error:
                words = f"its array is invalid: {str(error).split(' [')[0]}"
                found.append(Finding("error", "files", words, name))
        self._total = sum(self._bytes(name, of) for name, of in checks.items())
        for of in checks.values():
            found += of.findings(self._advance)
        without = [name for name, of in checks.items() if not of.has_checksums]
        if without:
            words = f"{len(without)} variable(s) have no checksums: damage may go unnoticed"
            found.append(Finding("warning", "files", words, count=len(without)))
        found += check_fingerprint(self._store)
        for name, of in checks.items():
            found += self._variable(name, of)
        return CheckReport(str(self._store.path), tuple(found), self._looked_at(checks, without))

    def _check_sizes(self, name: str) -> None:
        store, sizes = self._store, values_of(self._store, name).sizes
        axes = (store.time, store.levels_of(name), store.latitude, store.longitude)
        expected = tuple(map(len, axes))
        if sizes != expected:
            raise UserError(
                f"it has {sizes} values along (time, level, latitude, longitude), but the axes of "
                f"the store have {expected}"
            )

    def _bytes(self, name: str, of: FileCheck | LinkedFiles) -> int:
        values = 0 if self._fast else values_of(self._store, name).num_bytes
        return of.num_bytes + values

    def _advance(self, number: int) -> None:
        self._done += number
        if self._progress:
            self._progress(self._done, self._total)

    def _variable(self, name: str, of: FileCheck | LinkedFiles) -> list[Finding]:
        if self._fast:
            return check_statistics(self._store, name, None)
        survey = survey_values(
            self._store, name, of.lost, threads=self._threads, progress=self._advance
        )
        values = check_stored_values(self._store, name, survey)
        return values + check_statistics(self._store, name, survey)

    def _looked_at(
        self, checks: Mapping[str, FileCheck | LinkedFiles], without: list[str]
    ) -> dict[str, str]:
        store = self._store
        names = f"of {len(store.variables)} variable(s)"
        numbers = f"{len(store.latitude)} x {len(store.longitude)} points"
        sums = "no checksums" if len(without) == len(checks) else "compared with their checksums"
        return {
            "record": f"{len(store.time)} steps, {max(1, len(store.level))} level(s), {numbers}",
            "files": f"{sum(of.num_files for of in checks.values())} {names}, {sums}",
            "values": "not checked (--fast)" if self._fast else f"all {names}",
            "statistics": f"those {names}",
        }
