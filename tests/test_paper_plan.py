"""The paper's plan: what is run in which order with which numbers, each held against the reference notes."""

import itertools

import pytest
import torch
from messages import raises

import ebll
from ebll.autoencoder import AutoencoderSettings, fit_autoencoder
from ebll.errors import InputError
from ebll.methods import METHODS
from ebll.metrics import unexplained_variance
from ebll.paper import PHOTO_SETS, SEQUENCES, PaperSettings, PhotoSettings, units_of
from ebll.paper.plan import PAPER_METHODS, RECIPES, steps_of
from ebll.training import TrainSettings, train

pytestmark = pytest.mark.paper

THREE = ("imagenet", "scenes", "birds")


def test_the_sequences_are_the_five_pairs_and_the_three_and_the_numbers_those_of_the_authors_code():
    """Momentum SGD of 4e-4 in batches of 128 for 54 epochs, a tenth of that for 18; temperature 2, five versions."""
    pairs = [("imagenet", "scenes"), ("imagenet", "birds"), ("imagenet", "flowers")]
    pairs += [("flowers", "scenes"), ("flowers", "birds")]
    assert list(SEQUENCES.values()) == [*pairs, THREE]
    assert all(name == "-".join(tasks) for name, tasks in SEQUENCES.items())
    assert {task for tasks in SEQUENCES.values() for task in tasks} == set(PHOTO_SETS)
    usual = PaperSettings()
    assert usual.train == TrainSettings(
        epochs=72, warmup_epochs=72, batch_size=128, learning_rate=4e-4, momentum=0.9, weight_decay=5e-4, drop_at=0.75,
        threads=0,
    )  # fmt: skip
    assert (usual.backbone, usual.weights, usual.dropout) == ("alexnet", "default", 0.0)
    assert (usual.temperature, usual.distill_weight, usual.recon_weight) == (2.0, 1.0, 1e-6)
    assert (usual.photos.augment, usual.photos.versions, usual.photos.stored) == ("fixed", 5, 256)
    assert usual.photos_of("imagenet") == PhotoSettings(images=100_000)  # of the others, all
    assert usual.photos_of("birds") == PhotoSettings()


def test_the_step_size_falls_after_54_epochs():
    """As the loop itself sees it, with as many steps an epoch as there are batches."""
    inputs, labels = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    task = ebll.Task.from_tensors("t", (inputs, labels), (inputs, labels), (inputs, labels))
    usual = PaperSettings().train.replace(batch_size=4, threads=1)
    net = ebll.networks.build_network("mlp", (1, 28, 28))
    net.add_head(2)
    rates = [step.learning_rate for step in train(net, ebll.Finetune(), 0, {0: task}, settings=usual)]
    assert rates[:-1] == pytest.approx([4e-4] * 54 * 2 + [4e-5] * 18 * 2)


def test_alpha_and_code_go_by_the_set_in_the_order_learned_and_the_recipe_is_taken():
    for tasks in (("birds", "leaves", "imagenet"), ("birds", "imagenet", "x")):
        made = PaperSettings().method("ebll", tasks)
        assert made.alpha == tuple({"imagenet": 1e-3}.get(t, 1e-2) for t in tasks[:-1])
        assert made.autoencoder.code_size == tuple({"imagenet": 300}.get(t, 100) for t in tasks[:-1])
    assert PaperSettings().method("ebll", THREE).autoencoder == AutoencoderSettings(
        code_size=(300, 100), recon_weight=1e-6, start="pca", optimizer="adam", learning_rate=1e-5, epochs=20,
        batch_size=512, images=100_000,
    )  # fmt: skip
    authors = PaperSettings(autoencoder="authors", autoencoder_images=0).method("ebll-separate", THREE).autoencoder
    assert authors == AutoencoderSettings(
        code_size=(300, 100), recon_weight=1e-6, start="random", optimizer="adadelta", learning_rate=1.0, epochs=100,
        batch_size=5000, images=0,
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_what_it_has_of_the_settings(name):
    wanted = dict(temperature=3.0, distill_weight=4.0, ewc_strength=5.0, fisher="exact", fisher_samples=6)
    made = PaperSettings(alpha=0.5, alpha_imagenet=0.25, recon_weight=9.0, **wanted).method(name, THREE)
    assert type(made) is METHODS[name]
    has = {field: value for field, value in (wanted | {"alpha": (0.25, 0.5)}).items() if hasattr(made, field)}
    assert {field: getattr(made, field) for field in has} == has
    assert not hasattr(made, "autoencoder") or made.autoencoder.recon_weight == 9.0


def tasks_of(*names):
    return [unit.tasks for unit in units_of(PaperSettings(), names, "lwf")]


def test_sets_of_ones_own_are_joined_by_a_hyphen_or_by_colons():
    assert tasks_of("leaves-birds", "flowers-birds") == [("leaves", "birds"), ("flowers", "birds")]
    assert set(tasks_of()) == set(SEQUENCES.values())
    assert tasks_of("flowers-birds", "flowers:birds") == [("flowers", "birds")]
    units = units_of(PaperSettings(backbone="resnet18@layer3"), ["a-b:c", "a:b-c"], "lwf")
    assert [unit.experiment.id for unit in units] == ["resnet18@layer3:a-b+c", "resnet18@layer3:a+b-c"]


@pytest.mark.parametrize(
    ("settings", "given", "named"),
    [
        *(({}, {"experiments": name}, ["different sets"]) for name in ("birds", "a-b-a", "")),
        # Their names would be paths in the results.
        *(({}, {"experiments": name}, ["data root"]) for name in ("../own:birds", "~me:birds", "a\\b:c", "a+b:c")),
        ({}, {"methods": "lfw"}, ["Method", "'lfw'"]),
        ({}, {"methods": ["lwf", "replay"]}, ["Replay", "paper scale"]),
        ({}, {"first_seed": -1}, ["first_seed", "at least 0", "got -1"]),
        ({"backbone": "alexnte"}, {}, ["Backbone", "'alexnte'", "alexnet"]),
    ],
)
def test_what_cannot_be_is_refused(settings, given, named):
    with raises(InputError, *named):
        units_of(PaperSettings(**settings), **given)


def test_runs_that_begin_with_the_same_network_stand_side_by_side_each_once():
    names = ("flowers-scenes", "imagenet-birds", "flowers-birds", "imagenet-scenes-birds")
    units = units_of(PaperSettings(), names, ("lwf", "ebll", "lwf"), seeds=2, first_seed=3)
    assert len({unit.name for unit in units}) == len(units) == 4 * 2 * 2
    begins = [unit.start for unit in units]
    changes = sum(one != other for one, other in itertools.pairwise(begins))
    assert changes == len(set(begins)) - 1 == 3
    assert begins[0] == ("flowers", 3)
    assert units[0].name == "flowers-scenes/lwf-3"
    assert len(units_of(PaperSettings(), seeds=2)) == 6 * len(PAPER_METHODS) * 2


def test_steps_by_hand():
    """55 and 56 crops in batches of 8 are 7 batches each; three epochs and one of warm-up."""
    train = TrainSettings(epochs=3, warmup_epochs=1, batch_size=8)
    (unit,) = units_of(PaperSettings(), "flowers-scenes-birds", "lwf")
    assert steps_of(unit, PaperSettings(train=train), {"flowers": 1, "scenes": 55, "birds": 56}) == 4 * (7 + 7)


def test_with_as_many_features_as_alexnets_a_fit_keeps_what_the_principal_components_gave():
    """Adam moves each weight by its step size, and a code's argument by that times the sum of the features."""
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(640, 40, generator=draw)
    features = torch.relu(hidden @ torch.randn(40, 9216, generator=draw) / 6 + 0.1)
    head = torch.nn.Linear(9216, 5).requires_grad_(False)
    labels = head(features).argmax(dim=1)
    recipe = RECIPES["pca"] | {"epochs": 3, "batch_size": 64}
    shares = []
    for rate in (recipe["learning_rate"], 1e-3):
        settings = AutoencoderSettings(code_size=30, recon_weight=1e-6, **recipe | {"learning_rate": rate})
        fitted = fit_autoencoder(features, labels, head, settings).autoencoder
        with torch.no_grad():
            codes = fitted.encode(features)
            flat = ((codes < 0.02) | (codes > 0.98)).float().mean().item()
            shares.append((flat, unexplained_variance(fitted.decode(codes), features)))
    (flat, unexplained), (flat_undone, unexplained_undone) = shares
    assert flat < 0.05 < 0.2 < flat_undone
    assert unexplained < 0.8 < 1.2 < unexplained_undone
