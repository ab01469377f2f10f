"""What a run would take: sizes, steps and bytes counted by hand or against what is really made, and times by laws."""

import dataclasses

import pytest
import tiny_photos
import torch
from backbone_rig import as_file, one_state
from messages import raises, review
from paper_rig import COUNTS, QUIET, photos, settings, small_net

from ebll.backbones.weights import to_fetch
from ebll.checkpoints import Checkpoints, read_checkpoint, write_checkpoint
from ebll.errors import DataMissing, InputError
from ebll.methods import METHODS, Method
from ebll.paper import Place, estimate, paper
from ebll.paper.estimate import gb, seconds_of, steps_of, words_of
from ebll.paper.footprint import footprint_of
from ebll.paper.main import chosen_units
from ebll.paper.runs import Brake, prepare_start, run_unit
from ebll.paper.sizes import set_size
from ebll.paper.speed import Speed, measured_speed, refuse_one
from ebll.photos import find_photos, load_photos
from ebll.protocol import targets_of

pytestmark = pytest.mark.paper

SPEED = Speed(step=3e-3, forward=1e-3, product=1e-11, weights=500, features=36, operator=370, width=10, batch=8, peak=0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder)
    return folder


def place(root, out="out"):
    return Place(root, root / out, incomplete=True)


def sizes_of(units, chosen, root):
    return {name: set_size(place(root), chosen, name) for unit in units for name in unit.experiment.tasks}


def seconds(chosen, method, root, experiment="flowers-birds", speed=SPEED):
    (unit,) = chosen_units(chosen, [experiment], method)
    return seconds_of(unit, chosen, sizes_of([unit], chosen, root), speed)


def refusal(root, chosen, name):
    """What a run says to a set that it does not take."""
    with pytest.raises(InputError) as error:
        load_photos(name, root, chosen.photos_of(name), incomplete=True)
    return str(error.value)


@pytest.fixture(autouse=True)
def hub(tmp_path_factory, monkeypatch):
    """torch's cache is empty, and nothing may be fetched into it."""
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *given: pytest.fail("a plan fetches nothing"))
    return folder


# ---- sizes


@pytest.mark.parametrize("augment", ["fixed", "random", "none"])
@pytest.mark.parametrize("name", COUNTS)
def test_a_set_that_is_there_is_as_large_as_the_task_made_of_it(name, augment, root):
    chosen = settings(augment=augment, imagenet_images=20)
    task = load_photos(name, root, chosen.photos_of(name), incomplete=True)
    size = set_size(place(root), chosen, name)
    assert (size.classes, size.windows) == (task.class_count, len(task.train))
    assert (size.validation, size.test) == (len(task.validation), len(task.test))
    classes, train, test = COUNTS[name]
    assert size.train == min(classes * train, 20 if name == "imagenet" else 1000)
    assert size.windows == (size.train - size.validation) * (2 if augment == "fixed" else 1)
    assert size.bytes == (size.train + classes * test) * 3 * 32 * 32
    assert size.note == f"incomplete: {classes * train:,} training and {classes * test:,} test images"


@pytest.mark.parametrize("name", ["flowers", "birds"])
def test_the_bytes_are_those_that_are_held(name, root):
    task = load_photos(name, root, settings().photos_of(name), incomplete=True)
    kept = [split.inputs.shelf.images for split in (task.train, task.test)]
    assert set_size(place(root), settings(), name).bytes == sum(images.nbytes for images in kept)


def test_a_set_that_is_there_counts_as_it_lies_there_though_a_run_would_refuse_a_class_of_one_image(tmp_path):
    tiny_photos.write_imagenet(tmp_path, 3, 1, 2)
    size = set_size(place(tmp_path), settings(), "imagenet")
    assert (size.classes, size.train, size.validation, size.windows, size.test) == (3, 3, 1, 2 * 2, 6)
    assert size.note == refusal(tmp_path, settings(), "imagenet")
    review(size.note, "1 image", "2 are needed", "validation")


@pytest.mark.parametrize("images", [1, 3, 4])
def test_too_few_images_for_all_classes_are_told_in_the_words_of_the_run(images, root):
    """Four classes of 8: one to three images leave a class without any, four leave none to learn where one is held."""
    chosen = settings(images=images)
    size = set_size(place(root), chosen, "birds")
    assert size.note == refusal(root, chosen, "birds")
    assert (size.note.startswith(f"images: {images} ") and "4 classes" in size.note) == (images < 4)
    assert (size.classes, size.train, size.validation, size.windows, size.test) == (4, 32, 3, 29 * 2, 8)


def test_too_few_images_of_a_set_that_is_not_there_are_told_as_well(tmp_path):
    size = set_size(place(tmp_path), settings(images=1), "flowers")
    review(size.note, "'flowers'", "Flowers-102", tmp_path, "images: 1", "102 classes", "102 or more")
    assert (size.classes, size.train, size.validation, size.windows) == (102, 2040, 204, 2 * 1836)


def test_other_numbers_than_published_are_told_in_the_words_of_the_run_and_counted(root, tmp_path, monkeypatch):
    strict = dataclasses.replace(place(root), incomplete=False)
    size = set_size(strict, settings(), "flowers")
    assert (size.train, size.test) == (24, 9)
    with pytest.raises(InputError) as error:
        find_photos("flowers", root)
    assert size.note == str(error.value)
    tiny_photos.counts(monkeypatch, "birds", (4, 31, 8))  # of 32 that are there
    more = set_size(place(root), settings(), "birds")
    review(more.note, "'birds'", "31 training images", "32 training images")
    assert (more.classes, more.train, more.test) == (4, 32, 8)


def test_a_set_whose_files_cannot_be_listed_counts_as_it_was_published_and_says_why(tmp_path):
    tiny_photos.write_flowers(tmp_path)
    (tmp_path / "flowers-102/setid.mat").write_bytes(b"no such file")
    size = set_size(place(tmp_path), settings(), "flowers")
    assert "setid.mat cannot be read" in size.note
    assert (size.classes, size.train, size.test) == (102, 2040, 6149)


def test_a_folder_of_ones_own_is_refused_as_the_run_refuses_it(tmp_path):
    tiny_photos.write_folder(tmp_path, "own", classes=3)
    with pytest.raises(InputError) as error:
        set_size(place(tmp_path), settings(images=2), "own")
    assert str(error.value) == refusal(tmp_path, settings(images=2), "own")


def test_a_set_that_is_not_there_counts_as_it_was_published(tmp_path):
    chosen = settings(versions=5, stored=256, size=224)
    flowers = set_size(place(tmp_path), chosen, "flowers")
    assert (flowers.classes, flowers.train, flowers.test) == (102, 2040, 6149)
    assert (flowers.validation, flowers.windows) == (204, 5 * 1836)
    assert flowers.bytes == (2040 + 6149) * 3 * 256**2
    assert "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/" in flowers.note
    imagenet = set_size(place(tmp_path), chosen, "imagenet")
    assert (imagenet.train, imagenet.test, imagenet.windows) == (100_000, 50_000, 450_000)
    whole = set_size(place(tmp_path), settings(imagenet_images=0), "imagenet")
    assert whole.train == 1_281_167


def test_a_folder_of_ones_own_has_to_be_there(tmp_path):
    with raises(DataMissing, "'leaves'", tmp_path / "leaves"):
        set_size(place(tmp_path), settings(), "leaves")


# ---- steps


@pytest.mark.parametrize("augment", ["fixed", "random"])
def test_the_steps_are_those_that_are_made(augment, root, tmp_path):
    chosen = settings(augment=augment, epochs=3, warmup_epochs=2, imagenet_images=20)
    experiments, methods = (
        ["flowers-scenes-birds", "flowers-birds", "imagenet-birds"],
        ["joint", "lwf", "ebll-separate"],
    )
    foreseen, made, upto = [], [], [0]

    def on_step(count):
        upto[0] += count

    def on_result(done, total, name):
        made.append(upto[0] - sum(made))

    with small_net():
        paper(
            root, experiments=experiments, methods=methods, settings=chosen, out=tmp_path, on_step=on_step, seeds=2,
            on_result=on_result, on_start=lambda units, steps: foreseen.extend(steps), **QUIET,
        )  # fmt: skip
    assert made == foreseen
    assert len(made) == 18
    assert len(set(made)) >= 3  # first runs learn the first set as well, longer sequences take longer


def test_the_steps_by_hand(root):
    """Flowers 21 of 24 images, birds 28 of 32, two windows each, in batches of 8: 6 and 7 steps an epoch."""
    chosen = settings(epochs=3, warmup_epochs=1)
    units = chosen_units(chosen, ["flowers-birds"], ["lwf", "ebll"], seeds=2)
    sizes = sizes_of(units, chosen, root)
    assert [sizes[name].windows for name in ("flowers", "birds")] == [42, 56]
    assert steps_of(units, chosen, sizes) == [3 * 6 + 4 * 7, 4 * 7, 3 * 6 + 4 * 7, 4 * 7]


def test_a_pretrained_first_set_takes_no_steps_and_one_from_random_weights_does(root):
    for weights, first in (("default", 0), ("none", 2 * 7)):  # imagenet: 27 images, 54 windows
        chosen = settings(weights=weights)
        units = chosen_units(chosen, ["imagenet-flowers"], "lwf")
        assert steps_of(units, chosen, sizes_of(units, chosen, root)) == [first + 3 * 6]


# ---- times


def test_fine_tuning_by_hand(root):
    """56 windows of birds: 2 epochs of steps, one look for the warm-up; then the tests, and no measurements."""
    chosen = settings(log_every=0)
    seen = 3 * 3 + 4 * 2  # test images of flowers and birds
    assert seconds(chosen, "finetune", root) == pytest.approx(2 * 56 * 3e-3 + 56 * 1e-3 + seen * 1e-3)
    assert seconds(chosen, "lwf", root) == pytest.approx(2 * 56 * 3e-3 + 2 * 56 * 1e-3 + seen * 1e-3)
    # Every second of 2 * 56 / 8 steps looks at 256 images of both sets.
    looks = 2 * 56 / 8 / 2 * 256 * 2
    assert seconds(settings(), "finetune", root) == pytest.approx(seconds(chosen, "finetune", root) + looks * 1e-3)


@pytest.mark.parametrize("augment", ["fixed", "random"])
@pytest.mark.parametrize("method", ["finetune", "feature-extraction", "joint", "lwf", "ebll", "ewc"])
def test_time_grows_by_the_same_with_every_epoch(method, augment, root):
    times = [seconds(settings(epochs=n, augment=augment), method, root) for n in (1, 2, 3, 10)]
    each = times[1] - times[0]
    assert each > 0
    assert times[2] - times[1] == pytest.approx(each)
    assert times[3] - times[2] == pytest.approx(7 * each)


def test_new_windows_each_epoch_cost_those_that_ask_the_old_network_more(root):
    """With as many windows; in the one epoch of warm-up fine-tuning asks it once in either case."""
    fixed, anew = settings(versions=1), settings(augment="random")
    for method in ("finetune", "ewc", "joint"):
        assert seconds(anew, method, root) == pytest.approx(seconds(fixed, method, root))
    for method in ("lwf", "ebll", "code-only", "ebll-separate"):
        more = seconds(anew, method, root) - seconds(fixed, method, root)
        assert more == pytest.approx(28 * 1e-3)  # a second pass over the birds' windows


def test_without_a_warm_up_nobody_is_asked_for_it(root):
    with_it, without = settings(log_every=0), settings(log_every=0, warmup_epochs=0)
    assert seconds(with_it, "finetune", root) - seconds(without, "finetune", root) == pytest.approx(56e-3)


def test_feature_extraction_moves_no_deep_weight_and_joint_training_goes_through_all(root):
    quiet = settings(log_every=0)
    times = {name: seconds(quiet, name, root) for name in ("feature-extraction", "finetune", "joint")}
    assert times["joint"] - times["finetune"] == pytest.approx(2 * 56 * 3e-3)
    assert times["finetune"] - times["feature-extraction"] == pytest.approx(2 * 56 * 3e-3 - 56e-3)


def test_an_autoencoder_costs_by_code_and_images(root):
    """42 windows of flowers, 20 epochs, codes of 5 numbers for 36 features, and T of 370 weights behind them."""
    base, product = seconds(settings(), "lwf", root), dataclasses.replace(SPEED, product=1e-6)
    fitted = 42 * 1e-3 + 20 * 42 * 6 * (2 * 5 * 36 + 370) * 1e-6
    assert seconds(settings(), "ebll", root, speed=product) - base == pytest.approx(fitted)
    fewer = settings(autoencoder_images=21)
    assert seconds(fewer, "ebll", root, speed=product) - base == pytest.approx(fitted / 2)
    first = seconds(settings(), "ebll", root, "imagenet-birds", product) - seconds(
        settings(), "lwf", root, "imagenet-birds"
    )
    assert first == pytest.approx(54 * 1e-3 + 20 * 54 * 6 * (2 * 7 * 36 + 370) * 1e-6)


@pytest.mark.parametrize(
    ("took", "words"),
    [(0, "0 s"), (0.2, "1 s"), (89, "89 s"), (90, "1.5 min"), (720, "12 min"), (12600, "3.5 h"), (181440, "2.1 days")],
)
def test_times_in_words(took, words):
    assert words_of(took) == words


def test_the_speed_is_measured_on_the_backbone_that_will_run():
    with small_net():
        speed = measured_speed(settings(), "cpu", rounds=1)
    assert speed.features == 4 * 3 * 3
    assert speed.operator == 36 * 10 + 10
    assert speed.weights == speed.operator + (3 * 25 + 1) * 6 + (6 * 9 + 1) * 4
    assert (speed.batch, speed.peak) == (8, 0)
    assert min(speed.step, speed.forward, speed.product) > 0


# ---- memory and disk, against what is really made


def prints(chosen, root, units):
    return [footprint_of(unit, chosen, sizes_of(units, chosen, root), measured) for unit in units]


measured = dataclasses.replace(SPEED, weights=(3 * 25 + 1) * 6 + (6 * 9 + 1) * 4 + 370)


@pytest.mark.parametrize("augment", ["fixed", "random"])
@pytest.mark.parametrize("method", METHODS)
def test_the_bytes_are_those_of_the_run(method, augment, root, tmp_path):
    chosen = settings(augment=augment)
    (unit,) = chosen_units(chosen, ["flowers-scenes-birds"], method)
    (foreseen,) = prints(chosen, root, [unit])
    made, targets, learned, teachers = [], [0], [], [0]
    here = Place(root, tmp_path, incomplete=True, minutes=1e-9)

    class Kept(Checkpoints):
        """Looks at what there is at every step of the last task."""

        def save(self, run, step, stop=False):
            super().save(run, step, stop)
            learned.append(sum(state["momentum_buffer"].nbytes for state in step.optimizer.state.values()))
            made.append((sum(p.nbytes for p in run.net.parameters()), run.memory))

    def asked(net, one, task, t, memory):
        answers = targets_of(net, one, task, t, memory)
        if callable(answers):
            teachers.append(sum(p.nbytes for p in net.parameters()))
        elif answers and t:
            targets.append(sum(rows.nbytes for rows in answers.values()))
        return answers

    with small_net(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("ebll.protocol.targets_of", asked)
        patch.setattr("ebll.paper.runs.Checkpoints", Kept)
        snapshot, memories = prepare_start(here, chosen, "flowers", 0, Brake())
        start = sum(p.nbytes for p in snapshot.net.parameters())
        del made[:], learned[:]
        run_unit(here, chosen, unit, snapshot, memories, Brake())
    network, memory = made[-1]
    assert foreseen.start == start
    assert foreseen.network == network
    assert foreseen.learned == learned[-1]
    assert foreseen.memory == (memory.bytes() if memory is not None else 0)
    assert foreseen.targets == (2 * max(targets) if augment == "fixed" else 0)
    if method != "feature-extraction":  # its old network is the one that it has
        warm_up_only = METHODS[method].record_targets is Method.record_targets
        assert foreseen.teacher == (0 if warm_up_only or augment == "fixed" else max(teachers))


@pytest.mark.parametrize("method", ["finetune", "ewc", "ebll", "ebll-separate", "joint"])
def test_the_checkpoints_are_no_larger_than_foreseen(method, root, tmp_path):
    """All files that ever lay side by side, each with its header of a few kB."""
    chosen = settings(log_every=0)
    (unit,) = chosen_units(chosen, ["flowers-scenes-birds"], method)
    (foreseen,) = prints(chosen, root, [unit])
    here, most = Place(root, tmp_path, incomplete=True, minutes=1e-9), [0]
    write = write_checkpoint

    def written(path, tensors, facts):
        write(path, tensors, facts)
        files = [p for p in path.parent.glob("*.safetensors") if "runs" in str(p)]
        tensors = [v for p in files for name, v in read_checkpoint(p)[0].items() if not name.startswith("random.")]
        most.append(sum(v.nbytes for v in tensors))

    with small_net(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("ebll.checkpoints.keeper.write_checkpoint", written)
        run_unit(here, chosen, unit, *prepare_start(here, chosen, "flowers", 0, Brake()), Brake())
    assert 0.5 * foreseen.checkpoints < max(most) <= foreseen.checkpoints


# ---- all of it


def test_everything_is_said_and_nothing_written(root):
    chosen = settings()
    units = chosen_units(chosen, ["flowers-birds", "imagenet-birds"], ["finetune", "ebll"], seeds=2)
    before = sorted(path for path in root.rglob("*") if "ebll-cache" not in str(path))
    cost = estimate.estimate(place(root, "new"), chosen, units, SPEED)
    assert sorted(path for path in root.rglob("*") if "ebll-cache" not in str(path)) == before
    assert not (root / "new").exists()
    assert [name for name, _ in cost.data] == ["flowers", "birds", "imagenet", "weights"]
    assert "4 classes; 56 training windows an epoch, 4 validation and 8 test images" in dict(cost.data)["birds"]
    bytes_ = sum(set_size(place(root), chosen, name).bytes for name, _ in cost.data[:3])
    assert dict(cost.disk)["converted images"].startswith(f"{bytes_ / 1e6:.3g} MB in {root / 'ebll-cache'} (")
    most = max(footprint_of(unit, chosen, sizes_of(units, chosen, root), SPEED).in_memory for unit in units)
    assert dict(cost.memory)["network"].startswith(f"up to {gb(most)}: ")
    assert dict(cost.time)["first sets"] == words_of(2 * 2 * 42 * 3e-3)  # two seeds, two epochs
    assert dict(cost.time)["runs"].startswith("8, from ")


def test_the_first_sets_are_nothing_to_learn_where_they_are_pretrained(root):
    for weights, words in (("default", "nothing to learn"), ("none", words_of(2 * 54 * 3e-3))):
        chosen = settings(weights=weights)
        units = chosen_units(chosen, ["imagenet-birds"], "lwf")
        assert dict(estimate.estimate(place(root), chosen, units, SPEED).time)["first sets"].startswith(words)


# ---- what the run would refuse


def lines(root, chosen, experiments=("flowers-birds",)):
    units = chosen_units(chosen, experiments, "lwf")
    return dict(estimate.estimate(place(root, "new"), chosen, units, SPEED).data)


def test_weights_that_the_run_would_refuse_are_told_in_its_words_and_the_plan_goes_on(root, tmp_path):
    other = as_file(tmp_path, one_state())
    for file in (other, tmp_path / "none.pth"):
        chosen = settings(weights=str(file), size=32)
        told = lines(root, chosen)
        with pytest.raises((InputError, DataMissing)) as error:
            paper(root, experiments=["flowers-birds"], settings=chosen, out=tmp_path / "out", **QUIET)
        assert told["weights"] == str(error.value)
        assert str(file) in told["weights"]
        assert "56 training windows" in told["birds"]


def test_weights_that_fit_or_are_drawn_need_no_line_and_those_not_here_say_where_they_come_from(root, tmp_path, hub):
    file = as_file(tmp_path, one_state(name="resnet18"))
    assert "weights" not in lines(root, settings(weights=str(file), size=32))
    assert "weights" not in lines(root, settings(weights="none", size=32))
    told = lines(root, settings(size=32))["weights"]
    assert told == to_fetch("resnet18")
    assert str(hub) in told
    (hub / "checkpoints").mkdir()
    cached = hub / "checkpoints" / "resnet18-f37072fd.pth"
    cached.write_bytes(b"half of it")
    assert lines(root, settings(size=32))["weights"].startswith(f"{cached} cannot be read")
    cached.write_bytes(file.read_bytes())
    assert "weights" not in lines(root, settings(size=32))


@pytest.mark.parametrize("batch", [1, 41])  # 42 windows of flowers: the last batch holds one
def test_a_last_batch_of_one_input_is_refused_in_the_words_of_the_run(batch, root, tmp_path):
    chosen = settings(weights="none", size=32, batch_size=batch)
    units = chosen_units(chosen, ["flowers-birds"], "finetune")
    with pytest.raises(InputError) as run:
        paper(root, experiments=["flowers-birds"], methods="finetune", settings=chosen, out=tmp_path, **QUIET)
    with pytest.raises(InputError) as plan:
        estimate.estimate(place(root, "new"), chosen, units)
    assert str(plan.value) == str(run.value)
    review(str(plan.value), "flowers", f"42 in batches of {batch}", "BatchNorm", "batch_size")


def test_a_last_batch_of_one_input_is_planned_where_nothing_refuses_it(root):
    for chosen in (
        settings(size=32, batch_size=1),  # pretrained statistics stay as they are
        settings(weights="none", size=32, batch_size=40),
        settings(weights="none", size=224, stored=224, batch_size=1),  # 49 values a channel in one image
        settings(weights="none", size=64, stored=64, batch_size=1, backbone="alexnet"),
    ):
        refuse_one(chosen, {"flowers": 42})
    speed = measured_speed(settings(size=32, batch_size=1), "cpu", rounds=1)
    assert speed.batch == 1
    assert speed.step > 0


def test_what_would_take_more_than_a_day_is_told_how_to_shorten(root):
    units = chosen_units(settings(), ["flowers-birds"], "lwf")
    for step, words in ((3e-3, ""), (3e3, "make it shorter")):
        cost = estimate.estimate(place(root), settings(), units, dataclasses.replace(SPEED, step=step))
        assert dict(cost.time)["in all"].endswith(words or "without the conversion of images")
