"""The map of the equations and the glossary of the logged columns say what the code does, in full and nothing else."""

import ast
import functools
import importlib
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from tiny import SETTINGS, method, sequence, small

import ebll
from ebll.recording import ACCURACY_COLUMNS, CURVE_COLUMNS, PREDICTION_COLUMNS, TERMS
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
def documented(folder):
    """(file, docstring, name) of every module, class and function under a folder."""
    return [
        (path.relative_to(ROOT).as_posix(), ast.get_docstring(node) or "", getattr(node, "name", ""))
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]


def test_ids_are_in_the_map_once_and_open_one_docstring_each():
    opened = [re.match(rf"({ID.pattern}): ", docs) for _, docs, _ in documented("ebll")]
    assert Counter(match[1] for match in opened if match) == Counter(row["id"] for row in MAP)
    assert len(BY_ID) == len(MAP)
    words = [f"{docs} {name.replace('_', ' ')}" for folder in ("ebll", "tests") for _, docs, name in documented(folder)]
    words.append((DOCS / "glossary.md").read_text(encoding="utf-8"))
    assert {match.group() for text in words for match in re.finditer(rf"\b{ID.pattern}\b", text)} <= set(BY_ID)


@pytest.mark.parametrize("name", BY_ID)
def test_the_named_functions_and_tests_exist_and_carry_the_id_and_the_formula_is_whole(name):
    row, files = BY_ID[name], []
    for called, file in re.findall(r"\[`([\w.]+)`\]\(\.\./(ebll/[\w/]+)\.py\)", row["function"]):
        module = importlib.import_module(file.replace("/", "."))
        owner, _, leaf = called.rpartition(".")
        parent = getattr(module, owner) if owner else None
        target = getattr(parent or module, leaf)
        assert target.__module__ == module.__name__, f"{called} lives in {target.__module__}, not in {file}.py"
        docs = f"{target.__doc__} {parent.__doc__ if parent else ''}"
        assert re.search(rf"\b{name}\b", docs), f"the docstring of {called} does not name {name}"
        files.append(f"{file}.py")
    assert any(file in files for file, docs, _ in documented("ebll") if docs.startswith(f"{name}: "))
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row["test"])
    assert named, f"{name} names no test"
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"
        assert name in test.split("_"), f"{test} does not carry {name}"
    formulas = re.findall(r"\$`(.+?)`\$", row["formula"])
    assert formulas
    for formula in formulas:
        assert formula.count("{") == formula.count("}"), formula
        assert len(re.findall(r"\\lVert", formula)) == len(re.findall(r"\\rVert", formula)), formula
    assert row["no. in the paper"] == ""  # left to the reader


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


def test_every_column_of_a_run_a_claim_and_a_committed_table_is_in_the_glossary():
    facts, kept = glossary("Facts"), set()
    for name in ebll.METHODS:
        weight = {"ewc_strength": 100.0} if name == "ewc" else {}  # of this net
        run = ebll.run_sequence(sequence(2), method(name, **weight), net=small, settings=SETTINGS)
        assert list(run.facts) == list(facts)
        assert list(run.curves) == [*facts, *CURVE_COLUMNS], "no term of a method is lost on the way into the record"
        kept |= set(run.kept)
    assert list(glossary("Curves")) == CURVE_COLUMNS
    assert list(glossary("Predictions")) == PREDICTION_COLUMNS
    assert list(glossary("Accuracy")) == ACCURACY_COLUMNS
    assert set(glossary("Kept")) == kept - set(facts)
    assert set(glossary("Outcomes")) == set(OUTCOME_COLUMNS) - set(facts)
    claim = Claim("C0", "An example.", "somewhere", (Part("a number", (0.1, 0.2)),))
    assert list(glossary("Claims")) == list(claim.as_dict())
    assert list(glossary("Claim parts")) == list(parts_table([claim]).columns)
    sections = {"curves": "Curves", "accuracy": "Accuracy", "kept": "Kept", "gaps": "Gaps", "outcomes": "Outcomes"}
    for file, section in {**sections, "claims-parts": "Claim parts"}.items():
        if (path := ROOT / "figures" / f"{file}.csv").exists():
            assert set(pd.read_csv(path, nrows=0).columns) <= {*facts, *glossary(section)}, file


def test_the_columns_of_the_loss_terms_carry_the_id_that_their_method_gives_them():
    columns = glossary("Curves")
    of = {"task": "E1", "distill": "E3", "code": "E4", "penalty": "E6", "replay": "E1"}
    assert set(of) == set(TERMS)
    assert {f"{kind}_{term}": columns[f"{kind}_{term}"] for kind in ("loss", "raw") for term in of} == {
        f"{kind}_{term}": name for kind in ("loss", "raw") for term, name in of.items()
    }
    for name, made in ebll.METHODS.items():
        stated = dict(re.findall(rf"(\w+): ({ID.pattern})", made.loss_terms.__doc__.replace("\n", " ")))
        assert stated, name
        assert stated == {term: of[term] for term in stated}, name


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_inside_the_repository_resolve(page):
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / link).exists(), f"{page} links to {link}"
