import pytest
from rich.table import Table

from atmorep_k.console import print_table


@pytest.mark.parametrize("stderr", [False, True])
def test_nothing_is_cut_off_on_a_narrow_screen(stderr, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    table = Table("a field with a long name", "the root of the mean squared error")
    table.add_row("u_component_of_wind (m s-1)", "0.123")
    print_table(table, stderr=stderr)
    captured = capsys.readouterr()
    printed = captured.err if stderr else captured.out
    for text in ("a field with a long name", "mean squared error", "wind (m s-1)", "0.123"):
        assert text in printed
