"""The folded answer of notebook 08 names what is in a checkpoint, and what is not."""

import pytest
import torch
from torch import nn

import ebll
from ebll.data import Task
from ebll.paper import save_checkpoint
from ebll.paper.checkpoint import STAGE, STEP, read_tensors
from ebll.protocol import begin, learn
from ebll.training import TrainSettings

SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.05)


@pytest.fixture(scope="module", params=[0.0, 0.3], ids=["quiet", "drawing"])
def files(request, tmp_path_factory):
    """(tensors, facts) of the file of the stage and of that of the step, and whether a layer draws."""

    def task(name, seed):
        inputs = torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
        return Task.from_tensors(name, *[(inputs, torch.arange(32) % 3)] * 3)

    def net(shape):
        operator = nn.Sequential(nn.Linear(10, 8), nn.Dropout(request.param)) if request.param else nn.Linear(10, 8)
        return nn.Sequential(nn.Linear(6, 10), nn.ReLU()), operator

    folder = tmp_path_factory.mktemp("kept")
    method = ebll.EBLL(autoencoder=ebll.AutoencoderSettings(code_size=4))
    tasks = [task("one", 0), task("two", 1)]
    run = begin(tasks, method, net=net, recorder=ebll.Recorder(log_every=1))
    for step in learn(run, tasks, SETTINGS):
        save_checkpoint(folder, run, step, {})
        if (step.task, step.stage, step.index) == (1, "train", 3):
            break
    return {name: read_tensors(folder / name) for name in (STAGE, STEP)}, request.param > 0


def test_the_optimisers_momentum_the_steps_and_the_record_are_in_it(files):
    tensors, facts = files[0][STEP]
    assert any(name.startswith("momentum.") for name in tensors)
    assert (facts["stage"], facts["index"]) == ([1, "train"], 3)
    assert facts["curve_rows"]


def test_the_random_state_is_in_it_where_a_layer_draws(files):
    kept, draws = files
    assert any(name.startswith("random.") for name in kept[STEP][0]) == draws


def test_the_encoders_are_in_the_file_of_the_stage(files):
    assert {"memory.weight.0", "memory.bias.0"} <= set(files[0][STAGE][0])


def test_neither_the_order_of_batches_nor_recorded_answers_are_in_either(files):
    kinds = {name.split(".")[0] for tensors, _ in files[0].values() for name in tensors}
    assert kinds <= {"net", "momentum", "random", "memory"}
    for tensors, _ in files[0].values():  # a row for each of 32 inputs would be there
        assert not [name for name, value in tensors.items() if len(value) == 32]
