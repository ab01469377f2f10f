"""The map of the equations and the glossary of the logged columns say what the code does, in full and nothing else."""

import ast
import functools
import importlib
import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from tiny import SETTINGS, method, sequence, small

import ebll
from ebll.recording import ACCURACY_COLUMNS, CURVE_COLUMNS, TERMS
from ebll.reproduce import Claim, Part
from ebll.reproduce.claims import OUTCOME_COLUMNS
from ebll.reproduce.verdicts import parts_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ID = re.compile(r"(?:E|M)\d+[a-z]?")


def rows(page, heading):
    """The table that begins with this heading row, a dictionary a row."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(heading)]
    assert len(starts) == 1, f"{page} has {len(starts)} tables that begin with {heading!r}"
    table = []
    for line in lines[starts[0] :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    names, _, *body = table
    assert all(len(row) == len(names) for row in body), "a pipe inside a cell, or a cell too few"
    return [dict(zip(names, row, strict=True)) for row in body]


def glossary(section):
    """column -> id of one section of the glossary."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    part = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
    listed = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]*)\|$", part, re.M)
    assert all(meaning.strip() for _, meaning, _ in listed)
    names = [name for name, _, _ in listed]
    assert len(set(names)) == len(names)
    return {name: found.strip() for name, _, found in listed}


MAP = rows("equations.md", "| id |")
BY_ID = {row["id"]: row for row in MAP}


@functools.cache
def defined_ids():
    """id -> the files in which a docstring opens with it."""
    found = []
    for path in sorted((ROOT / "ebll").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                match = re.match(rf"({ID.pattern}): ", ast.get_docstring(node) or "")
                found += [(match.group(1), path.relative_to(ROOT).as_posix())] if match else []
    return found


def objects(row):
    """What the row's cell `function` names: (id, name, object, the class it is a method of or None)."""
    links = re.findall(r"\[`([\w.]+)`\]\(\.\./(ebll/[\w/]+)\.py\)", row["function"])
    assert links, f"{row['id']}: no linked function in {row['function']!r}"
    for name, file in links:
        module = importlib.import_module(file.replace("/", "."))
        owner, _, leaf = name.rpartition(".")
        parent = getattr(module, owner) if owner else None
        target = getattr(parent or module, leaf)
        assert target.__module__ == module.__name__, f"{name} lives in {target.__module__}, not in {file}.py"
        yield name, target, parent


def test_every_id_that_opens_a_docstring_is_in_the_map_once_and_the_other_way_round():
    defined = Counter(name for name, _ in defined_ids())
    assert [name for name, count in defined.items() if count > 1] == []
    assert Counter(row["id"] for row in MAP) == defined


@pytest.mark.parametrize("name", BY_ID)
def test_the_named_functions_exist_and_carry_the_id(name):
    files = dict(defined_ids())
    linked = []
    for called, target, parent in objects(BY_ID[name]):
        docs = f"{target.__doc__} {parent.__doc__ if parent else ''}"
        assert re.search(rf"\b{name}\b", docs), f"the docstring of {called} does not name {name}"
        linked.append(target.__module__.replace(".", "/") + ".py")
    assert files[name] in linked


@pytest.mark.parametrize("name", BY_ID)
def test_the_named_tests_exist_and_carry_the_id(name):
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", BY_ID[name]["test"])
    assert named, f"{name} names no test"
    for file, test in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"
        assert name in test.split("_"), f"{test} does not carry {name}"


def test_every_id_that_a_docstring_or_a_test_mentions_is_in_the_map():
    mentioned = set()
    for path in [*(ROOT / "ebll").rglob("*.py"), *(ROOT / "tests").glob("test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                words = f"{ast.get_docstring(node) or ''} {getattr(node, 'name', '').replace('_', ' ')}"
                mentioned |= {match.group() for match in re.finditer(rf"\b{ID.pattern}\b", words)}
    assert mentioned - set(BY_ID) == set()


def test_formulas_have_balanced_braces_and_the_papers_numbers_are_left_to_the_reader():
    for row in MAP:
        formulas = re.findall(r"\$`(.+?)`\$", row["formula"])
        assert formulas, row["id"]
        for formula in formulas:
            assert formula.count("{") == formula.count("}"), formula
            assert len(re.findall(r"\\lVert", formula)) == len(re.findall(r"\\rVert", formula)), formula
        assert row["no. in the paper"] == ""


def test_the_conversion_table_is_right_and_holds_this_kits_defaults():
    table = rows("equations.md", "| where |")
    column = "alpha or lambda here"
    for row in table:
        w, size, here = float(row["w"]), float(row["columns"]), float(row[column])
        assert 2 * w / size == pytest.approx(here, rel=0.02), row
    kit = {(row["term"], int(row["columns"])): float(row[column]) for row in table if "this kit" in row["where"]}
    method_, autoencoder = ebll.EBLL(), ebll.AutoencoderSettings()
    sizes = [ebll.build_network(name, (1, 28, 28)).feature_size for name in ebll.NETS]
    wanted = {("code", autoencoder.code_size): method_.alpha}
    assert kit == wanted | {("reconstruction", size): autoencoder.recon_weight for size in sizes}


@pytest.fixture(scope="module")
def runs():
    """Every method on two small tasks."""
    made = {}
    for name in ebll.METHODS:
        recorder = ebll.Recorder(log_every=1)
        made[name] = ebll.run_sequence(
            sequence(2), method(name), net=small, settings=SETTINGS, seed=0, recorder=recorder
        )
    return made


@pytest.mark.parametrize("name", ebll.METHODS)
def test_no_term_of_a_method_is_lost_on_the_way_into_the_record(runs, name):
    logged = {column for row in runs[name].recorder.curve_rows for column in row}
    assert logged - set(CURVE_COLUMNS) == set()
    terms = {column.removeprefix("raw_") for column in logged if column.startswith("raw_")}
    assert terms <= set(TERMS)


def test_every_column_of_a_run_is_in_the_glossary(runs):
    facts = glossary("Facts")
    assert list(facts) == list(runs["ebll"].facts)
    assert list(glossary("Curves")) == CURVE_COLUMNS
    assert list(glossary("Accuracy")) == ACCURACY_COLUMNS
    kept = {column for run in runs.values() for column in run.kept.columns}
    assert set(glossary("Kept")) == kept - set(facts)
    assert set(glossary("Outcomes")) == set(OUTCOME_COLUMNS) - set(facts)


def test_every_entry_of_a_claim_is_in_the_glossary():
    claim = Claim("C0", "An example.", (Part("a number", (0.1, 0.2)),))
    assert list(glossary("Claims")) == list(claim.as_dict())
    assert list(glossary("Claim parts")) == list(parts_table([claim]).columns)


def test_the_columns_of_the_loss_terms_carry_the_id_that_their_method_gives_them():
    columns = glossary("Curves")
    of = {"task": "E1", "distill": "E3", "code": "E4", "penalty": "E6"}
    assert set(of) == set(TERMS)
    assert {f"{kind}_{term}": columns[f"{kind}_{term}"] for kind in ("loss", "raw") for term in of} == {
        f"{kind}_{term}": name for kind in ("loss", "raw") for term, name in of.items()
    }
    for name, made in ebll.METHODS.items():
        stated = dict(re.findall(rf"(\w+): ({ID.pattern})", made.loss_terms.__doc__.replace("\n", " ")))
        assert stated, name
        assert stated == {term: of[term] for term in stated}, name


def test_every_id_in_the_glossary_is_in_the_map():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert {match.group() for match in re.finditer(rf"\b{ID.pattern}\b", text)} <= set(BY_ID)


def test_the_tables_in_figures_have_no_column_that_the_glossary_lacks():
    sections = {"curves": "Curves", "accuracy": "Accuracy", "kept": "Kept", "gaps": "Gaps", "outcomes": "Outcomes"}
    for file, section in {**sections, "claims-parts": "Claim parts"}.items():
        path = ROOT / "figures" / f"{file}.csv"
        if path.exists():
            columns = set(pd.read_csv(path, nrows=0).columns)
            assert columns - set(glossary("Facts")) - set(glossary(section)) == set(), file
    path = ROOT / "figures" / "claims.json"
    if path.exists():
        keys = {key for claim in json.loads(path.read_text(encoding="utf-8")) for key in claim}
        assert keys <= set(glossary("Claims"))


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_inside_the_repository_resolve(page):
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / link).exists(), f"{page} links to {link}"
