"""What the notebooks begin with: the environment in words, the profile, and text below a cell."""

import torch
from IPython.core.interactiveshell import InteractiveShell
from messages import raises

import ebll
from ebll import course
from ebll.config import NEW_TASK_IMAGES
from ebll.course import notebook
from ebll.errors import EbllError


def test_what_is_missing_or_unfit_is_said_with_the_way_on(monkeypatch):
    notebook.check_environment()
    listed = ["no-such-package>=1", "numpy>=900", "pandas", 'gone>=1; extra == "test"', 'gone; python_version < "3"']
    monkeypatch.setattr(notebook.metadata, "requires", lambda name: listed)
    version = notebook.metadata.version("numpy")
    with raises(
        EbllError, "no-such-package is not installed", f"numpy is {version}", "numpy>=900", "make lab"
    ) as caught:
        notebook.check_environment()
    assert [name for name in ("pandas", "gone") if name in str(caught.value)] == []


def test_the_full_profile_has_more_seeds_and_takes_a_gpu_where_there_is_one(monkeypatch, capsys):
    made = course.setup("fast")
    assert (made.device, list(made.seeds), made.images) == ("cpu", [0, 1, 2], NEW_TASK_IMAGES)
    assert "3 seeds on the processor" in capsys.readouterr().out
    for there, device in [(True, "cuda"), (False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        made = course.setup("full")
        assert (made.device, len(made.seeds), made.images) == (device, 10, None)
        assert ("GPU" in capsys.readouterr().out) == there


def test_tasks_after_the_first_are_of_one_size_and_a_net_has_its_options():
    made = course.setup("fast")
    first, *later = made.load("digits", "mnist", "textures")
    assert len(first.train) == 1190
    assert all(abs(len(task.train) - NEW_TASK_IMAGES) < 10 for task in later)
    assert len(later[0].test) == 1000, "test images are never left out"
    options = made.options("cnn")
    assert (options["net"], options["seeds"], options["device"]) == ("cnn", range(3), "cpu")


def test_examples_are_one_image_a_class():
    task = ebll.load_task("mnist")
    images, names = course.examples(task, count=4)["mnist"]
    assert images.shape == (4, 28, 28)
    assert 0 <= images.min() < images.max() <= 1
    assert names == ["0", "1", "2", "3"]
    first = int((task.train.labels == 3).nonzero()[0])
    assert (images[3] == task.restored(task.train.inputs[first])[0].numpy()).all()


def test_prose_and_source_have_a_plain_form_and_progress_is_one_line_that_ends_without_a_time(monkeypatch):
    shell = InteractiveShell.instance()  # it sends messages to the notebook through its publisher
    sent = []
    monkeypatch.setattr(shell.display_pub, "publish", lambda data, update=False, **more: sent.append((update, data)))
    try:
        course.say("LwF loses **3** points")
        show = course.progress()
        for i in (1, 2, 3):
            show(i, 3, "lwf")
        course.source(ebll.losses.soften)
    finally:
        InteractiveShell.clear_instance()
    (_, prose), *progress, (_, code) = sent
    assert prose == {"text/markdown": "LwF loses **3** points", "text/plain": "LwF loses **3** points"}
    assert [update for update, _ in progress] == [False, True, True]
    assert "s left" in progress[0][1]["text/plain"]
    assert progress[-1][1]["text/plain"] == "3 of 3 runs"
    fenced = code["text/markdown"].splitlines()
    assert (fenced[0], fenced[-1]) == ("```python", "```"), "so that it is highlighted"
    assert "    return torch.softmax(logits / temperature, dim=1)" in fenced
