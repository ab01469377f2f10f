"""A job of the main plan against its runs written out: the same images and start, and the domain gap by its formula."""

import functools

import pandas as pd
import pytest
import torch
from tiny import SETTINGS, blobs

import ebll
from ebll import METHODS, AutoencoderSettings
from ebll.autoencoder import fit_autoencoder
from ebll.comparison import SINGLE_TASK
from ebll.methods import method_from
from ebll.networks import frozen
from ebll.reproduce import jobs
from ebll.reproduce.plan import PROFILES, Experiment, Profile
from ebll.seeds import derive_seed

SEED, IMAGES = 3, 24  # images of each new task, which has 51 for training
TASKS = {name: blobs(name, i) for i, name in enumerate(("letters", "mnist", "digits"))}  # known names, small inputs
PAIR, LONG = Experiment("mlp", ("letters", "mnist")), Experiment("mlp", ("letters", "mnist", "digits"))
WEIGHTS = {"ewc_strength": 10.0, "distill_weight": 0.7, "alpha": 2.0, "code_size": 5}
PROFILE = Profile((PAIR, LONG), seeds=1, train=SETTINGS, weights=WEIGHTS)


@pytest.fixture(scope="module")
def tables():
    """The tables of one job with two sequences and two methods."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "load_cut", loaded)
        patch.setattr(jobs, "NEW_TASK_IMAGES", IMAGES)
        (job,) = jobs.jobs_of(PROFILE, list(METHODS), range(SEED, SEED + 1))
        yield jobs.run_job(job).joined([PAIR, LONG])


@functools.cache
def loaded(name, images, device):
    return TASKS[name].subset(images) if images else TASKS[name]


def rows(table, e, method):
    return table[(table["sequence"] == e.id) & (table["method"] == method)]


@pytest.fixture(scope="module")
def start():
    recorder = ebll.Recorder(log_every=0)  # of the first task, no figure shows a curve
    return ebll.learn_first([TASKS["letters"]], net="mlp", settings=SETTINGS, seed=SEED, recorder=recorder)


def cut(e):
    """The tasks of a sequence, all but the first with a share of their training images."""
    first, *later = (TASKS[name] for name in e.tasks)
    return [first, *(task.subset(IMAGES) for task in later)]


@pytest.mark.parametrize("e", [PAIR, LONG], ids=["pair", "long"])
@pytest.mark.parametrize("name", METHODS)
def test_rows_are_those_of_a_run_from_the_common_start_also_where_a_longer_run_begins_with_it(tables, start, e, name):
    run = ebll.run_sequence(
        cut(e), method_from(name, WEIGHTS), start=start, settings=SETTINGS, seed=SEED, consolidate_last=False
    )
    mine = rows(tables["accuracy"], e, name)
    assert mine[["after", "task", "accuracy"]].to_dict("records") == run.recorder.accuracy_rows
    curves = rows(tables["curves"], e, name)[["training", "step", "task", "feature_distance", "loss_total"]]
    pd.testing.assert_frame_equal(curves.reset_index(drop=True), run.curves[list(curves)], check_exact=True)
    kept = rows(tables["kept"], e, name)
    assert list(kept["bytes"]) == [row["bytes"] for row in run.recorder.memory_rows]


def test_the_reference_is_a_fresh_network_on_the_same_images_for_as_many_epochs(tables):
    longer = SETTINGS.replace(epochs=SETTINGS.epochs + SETTINGS.warmup_epochs)
    expected = [
        row
        for task in cut(LONG)[1:]
        for row in ebll.learn_first([task], net="mlp", settings=longer, seed=SEED).recorder.accuracy_rows
    ]
    assert rows(tables["accuracy"], LONG, SINGLE_TASK)[["after", "task", "accuracy"]].to_dict("records") == expected


def test_M8_the_gap_is_that_of_the_second_tasks_training_images_before_they_are_learned(tables, start):
    net, first, second = start.net, TASKS["letters"], cut(PAIR)[1].train.inputs
    with frozen(net):
        features = net.features(first.train.inputs)
        fit = fit_autoencoder(
            features,
            first.train.labels,
            lambda f: net.heads[0](net.operator(f)),
            AutoencoderSettings(code_size=WEIGHTS["code_size"]),
            seed=derive_seed(SEED, "autoencoder", 0),
        )
        new = net.features(second)
        with torch.no_grad():
            missed = (fit.autoencoder(new) - new).square().sum() / (new - new.mean(dim=0)).square().sum()
    for e in (PAIR, LONG):
        (row,) = rows(tables["gaps"], e, SINGLE_TASK).to_dict("records")
        assert (row["old"], row["new"]) == ("letters", "mnist")
        assert row["gap"] == pytest.approx(missed.item(), rel=1e-4)


def test_curves_are_those_that_figures_and_claims_need():
    every = {(job.net, job.first): job.curves for job in jobs.jobs_of(PROFILES["full"], list(METHODS), range(1))}
    assert every == {
        ("cnn", "letters"): tuple(METHODS),
        **dict.fromkeys([("mlp", "letters"), ("mlp", "mnist")], ("joint", "lwf", "ebll")),
    }
    more = jobs.jobs_of(PROFILES["full"], list(METHODS), range(5), PROFILES["full"].more)
    assert {job.curves for job in more if job.seed > 4} == {()}
    (job,) = jobs.jobs_of(PROFILE, ["ewc"], range(1))
    assert job.curves == ("ewc",)
