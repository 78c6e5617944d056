from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import row
from tests.command_line.small_files import run
from tests.command_line.small_files import saved


def test_what_came_is_shown(tmp_path, capsys):
    before = saved(growing(width=4), tmp_path, "before.keras")
    after = saved(growing(width=6), tmp_path, "after.keras")
    assert run("diff", before, after) == 0
    text = capsys.readouterr().out
    assert row(text, "hidden") == ["hidden", "4", "6", "8", "+2"]
    assert run("diff", before, before) == 0
    assert "no difference" in capsys.readouterr().out


def test_a_plain_file_is_refused(tmp_path, capsys):
    before = saved(growing(), tmp_path, "before.keras")
    plain = saved(convolutional(), tmp_path, "plain.keras")
    assert run("diff", before, plain) == 1
    assert "without a structure" in capsys.readouterr().err
