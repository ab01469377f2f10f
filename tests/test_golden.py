"""What the library gives for fixed inputs is what the golden files hold; see `tests/golden/__init__.py`."""

import pytest
from golden import compare, compute, make

HERE = {"learned": {"right": [30, 40], "loss": [1.0, 0.25], "sha256": "a1"}, "labels": ["cat", "dog"]}


@pytest.mark.parametrize("part", compute.PARTS)
def test_the_library_gives_what_the_file_holds(part):
    report = compare.compare(part, compute.PARTS[part]())
    if report.problems:
        pytest.fail("\n".join(report.problems[:20]), pytrace=False)


def test_the_files_are_small_and_there_is_none_without_a_part():
    found = list(compare.FOLDER.glob("*.json"))
    assert {file.stem for file in found} == set(compute.PARTS)
    assert sum(file.stat().st_size for file in found) < 1_500_000


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Golden files of a test's own, written on a processor as it is."""
    monkeypatch.setattr(compare, "FOLDER", tmp_path)
    for name in compare.OVERRIDES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def changed(**columns):
    return HERE | {"learned": HERE["learned"] | columns}


@pytest.mark.parametrize(
    ("now", "exact", "within"),
    [
        (HERE, True, True),
        (changed(loss=[1.0 + 4e-4, 0.25 - 4e-4]), False, True),  # of the largest entry of the column
        (changed(loss=[1.0 + 6e-4, 0.25]), False, False),
        (changed(loss=[1.0, None]), False, False),
        (changed(loss=[1.0]), False, False),
        (changed(right=[30, 41]), False, True),
        (changed(right=[30, 42]), False, False),
        (changed(right=[29, 41]), False, False),  # one image, in too many entries
        (changed(sha256="b2"), False, True),
        (HERE | {"labels": ["cat", "cow"]}, False, False),
        (HERE | {"more": 1}, False, False),
        ({"learned": HERE["learned"]}, False, False),
    ],
)
def test_exact_where_it_was_made_and_within_tolerances_elsewhere(files, monkeypatch, now, exact, within):
    compare.write("runs", HERE)
    here = compare.compare("runs", now)
    assert (here.exact, not here.problems) == (True, exact)
    monkeypatch.setenv("MKL_CBWR", "another")  # the file was made on another processor: this one without emulation
    there = compare.compare("runs", now)
    assert (there.exact, not there.problems) == (False, within)


def test_only_what_is_named_is_written_and_a_difference_is_told(files, monkeypatch, capsys):
    monkeypatch.setitem(compute.PARTS, "page", lambda: {"runs": 3})
    assert make.main(["page"]) == 0
    assert [file.name for file in files.iterdir()] == ["page.json"]
    assert make.main(["--check", "page"]) == 0
    monkeypatch.setitem(compute.PARTS, "page", lambda: {"seeds": 3})
    assert make.main(["--check", "page"]) == 1
    told = capsys.readouterr().out
    assert "runs: in the file, and no longer here" in told
    assert "seeds: here, and not in the file" in told
    assert "`python -m tests.golden.make page`" in told


@pytest.mark.parametrize(("part", "named"), [("walks", "'walks'"), ("page", "MKL_CBWR")])
def test_nothing_is_written_of_an_unknown_part_or_on_an_emulated_processor(files, monkeypatch, capsys, part, named):
    monkeypatch.setenv("MKL_CBWR", "another")
    with pytest.raises(SystemExit):
        make.main([part])
    assert not list(files.iterdir())
    assert named in capsys.readouterr().err
