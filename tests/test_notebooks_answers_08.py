"""The folded answer of notebook 08 names what is in a checkpoint, and what is not."""

import pytest
import torch
from tiny import kept_up
from torch import nn

import ebll
from ebll.checkpoints import Checkpoints, read_checkpoint
from ebll.data import Task
from ebll.training import TrainSettings

SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.05)


@pytest.fixture(scope="module", params=[0.0, 0.3], ids=["quiet", "drawing"])
def files(request, tmp_path_factory):
    """(tensors, facts) of the newest file of a stage and of a step, and whether a layer draws."""

    def task(name, seed):
        inputs = torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
        return Task.from_tensors(name, *[(inputs, torch.arange(32) % 3)] * 3)

    def net(shape):
        return nn.Sequential(nn.Linear(6, 10), nn.ReLU()), nn.Sequential(nn.Linear(10, 8), nn.Dropout(request.param))

    folder = tmp_path_factory.mktemp("kept")
    method = ebll.EBLL(autoencoder=ebll.AutoencoderSettings(code_size=4))
    tasks, own = [task("one", 0), task("two", 1)], net if request.param else plain
    options = {"net": own, "settings": SETTINGS, "recorder": ebll.Recorder(log_every=1)}
    with pytest.raises(ebll.RunStopped):  # in the middle of training on the second task
        kept_up(Checkpoints(folder, {}), tasks, method, stop_after=8 + 4 + 3, **options)
    newest = {kind: read_checkpoint(sorted(folder.glob(f"{kind}-*"))[-1]) for kind in ("stage", "step")}
    return newest, request.param > 0


def plain(shape):
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU()), nn.Linear(10, 8)


def test_the_optimisers_momentum_the_steps_and_the_record_are_in_it(files):
    tensors, facts = files[0]["step"]
    assert any(name.startswith("momentum.") for name in tensors)
    assert (facts["stage"], facts["index"]) == ([1, "train"], 3)
    assert facts["curve_rows"]


def test_the_random_state_is_in_it_where_a_layer_draws(files):
    newest, draws = files
    assert any(name.startswith("random.") for name in newest["step"][0]) == draws


def test_the_encoders_are_in_the_file_of_the_stage(files):
    assert {"memory.weight.0", "memory.bias.0"} <= set(files[0]["stage"][0])


def test_neither_the_order_of_batches_nor_recorded_answers_are_in_either(files):
    kinds = {name.split(".")[0] for tensors, _ in files[0].values() for name in tensors}
    assert kinds <= {"net", "momentum", "random", "memory"}
    for tensors, _ in files[0].values():  # a row for each of 32 inputs would be there
        assert not [name for name, value in tensors.items() if len(value) == 32]
