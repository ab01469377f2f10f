"""A task made from tensors: its splits, and how it is standardised."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from ebll.data import Task
from ebll.data.splits import channel_affine, split_generator, stratified_split
from ebll.errors import InputError


def pair(n=30, classes=3, shape=(1, 5, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, *shape, generator=generator), torch.arange(n) % classes


def make(train=None, test=None, **options):
    train = pair() if train is None else train
    return Task.from_tensors("mine", train, pair(9, seed=1) if test is None else test, **options)


def test_shapes_types_and_names():
    task = make(source="my camera", licence="CC0", classes=["cat", "dog", "eel"])
    assert task.input_shape == (1, 5, 4)
    assert task.class_count == 3
    assert (task.classes, make().classes) == (("cat", "dog", "eel"), ("0", "1", "2"))
    assert (len(task.train), len(task.validation), len(task.test)) == (26, 4, 9)
    for split in (task.train, task.validation, task.test):
        assert split.inputs.dtype == torch.float32
        assert split.labels.dtype == torch.int64
    assert repr(task).splitlines()[:2] == ["Task 'mine': train 26, validation 4, test 9", "  3 classes: cat, dog, eel"]
    for words in ("one input: 1 x 5 x 4, training values -", "source: my camera", "licence: CC0"):
        assert words in repr(task)
    assert repr(task.test) == "Split(9 x 1 x 5 x 4)"
    for shape, expected in [((5, 4), (1, 5, 4)), ((7,), (7,))]:
        task = make(pair(shape=shape), pair(9, shape=shape))
        assert task.input_shape == expected
        assert len(task.offset) == len(task.scale) == 1


def test_uint8_becomes_zero_to_one_and_other_numbers_keep_their_values():
    x = torch.tensor([0, 51, 255, 102], dtype=torch.uint8).view(4, 1).repeat(1, 2)
    y = torch.tensor([0, 1, 0, 1])
    task = Task.from_tensors("bytes", (x, y), (x, y), (x, y), standardise=False)
    assert torch.equal(task.train.inputs[:, 0], torch.tensor([0.0, 0.2, 1.0, 0.4]))
    wide = Task.from_tensors("wide", (x.long(), y), (x.long(), y), (x.long(), y), standardise=False)
    assert torch.equal(wide.train.inputs[:, 0], torch.tensor([0.0, 51.0, 255.0, 102.0]))


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4", "uint16", "int32"])
def test_numpy_arrays_of_any_number_type_equal_tensors(dtype):
    x = (np.arange(240).reshape(12, 20) % 17).astype(dtype)
    y = np.arange(12, dtype="int32") % 2
    a = Task.from_tensors("a", (x[::-1], y), (x, y))
    b = Task.from_tensors("b", (torch.tensor(x[::-1].astype("float32")), torch.tensor(y)), (x.tolist(), y.tolist()))
    assert torch.equal(a.train.inputs, b.train.inputs)
    assert torch.equal(a.test.inputs, b.test.inputs)


@pytest.mark.parametrize("standardise", [True, False])
def test_the_users_tensors_are_neither_changed_nor_shared_and_gradients_are_cut(standardise):
    x, y = pair()
    before = x.clone()
    task = make((x.requires_grad_(), y), (x, y), standardise=standardise)
    assert torch.equal(x, before)
    assert not task.train.inputs.requires_grad
    task.test.inputs.zero_()
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 6, 6), (36,)])
def test_training_split_alone_decides_and_all_splits_get_the_same_map(shape):
    channels = shape[0] if len(shape) == 3 else 1
    axes, view = ((0, 2, 3), (-1, 1, 1)) if len(shape) == 3 else ((0, 1), (-1,))
    x, y = pair(60, shape=shape)
    x = x * 5 + torch.arange(channels).view(view) * 10 + 3
    test = (pair(9, shape=shape, seed=2)[0] - 40, torch.arange(9) % 3)
    task, raw = make((x, y), test), make((x, y), test, standardise=False)
    mean, deviation = raw.train.inputs.double().mean(axes), raw.train.inputs.double().std(axes, correction=0)
    torch.testing.assert_close(torch.tensor(task.offset).double(), mean.view(-1), rtol=1e-6, atol=0)
    torch.testing.assert_close(torch.tensor(task.scale).double(), deviation.view(-1), rtol=1e-6, atol=0)
    for key in ("train", "validation", "test"):
        found, given = getattr(task, key).inputs, getattr(raw, key).inputs
        expected = (given.double() - mean.view(view)) / deviation.view(view)
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(task.restored(found), given, rtol=1e-5, atol=1e-4)
    assert task.test.inputs.mean() < -5  # its own mean is far off: test was not asked


def test_standardising_twice_changes_nothing_but_rounding_and_the_map_still_leads_back():
    raw = make(standardise=False)
    assert (raw.offset, raw.scale) == ((0.0,), (1.0,))
    once, twice = raw.standardised(), raw.standardised().standardised()
    torch.testing.assert_close(once.test.inputs, twice.test.inputs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(twice.restored(twice.test.inputs), raw.test.inputs, rtol=1e-5, atol=1e-5)
    assert torch.equal(make().train.inputs, once.train.inputs)
    other = once.subset(6).standardised()  # another training split, hence a second map on top of the first
    assert abs(other.offset[0] - once.offset[0]) > 1e-3
    torch.testing.assert_close(other.restored(other.test.inputs), raw.test.inputs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6])
def test_a_constant_channel_becomes_zero_and_never_nan(value):
    x, y = pair(shape=(2, 5, 4))
    x[:, 1] = value
    task = make((x, y), (x[:9], y[:9]))
    assert task.scale[1] == 1
    assert task.train.inputs[:, 1].abs().max() <= abs(value) * 1e-6
    assert torch.isfinite(task.test.inputs).all()


def test_moments_in_parts_equal_moments_in_one():
    x = torch.rand(1300, 2, 3, 3, generator=split_generator(3)) + 100  # more rows than one part, far from zero
    mean, deviation = channel_affine(x)
    np.testing.assert_allclose(mean, x.double().mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviation, x.double().std((0, 2, 3), correction=0), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(2, 40), min_size=2, max_size=8), share=st.floats(0.01, 1.0), seed=st.integers(0, 9))
@example(counts=[3, 5], share=1.0, seed=0)  # everything asked for: each class still keeps one
def test_splits_are_disjoint_complete_stratified_and_of_the_asked_size(counts, share, seed):
    labels = torch.repeat_interleave(torch.tensor(counts))
    total = max(1, round(share * len(labels)))
    names = [str(i) for i in range(len(counts))]
    kept, held = stratified_split(labels, total, split_generator(seed), classes=names, what="a test set")
    assert sorted(kept.tolist() + held.tolist()) == list(range(len(labels)))
    for c, count in enumerate(counts):
        number = int((labels[held] == c).sum())
        assert 1 <= number <= count - 1
        if 1 <= count * total / len(labels) <= count - 1:
            assert abs(number - count * total / len(labels)) <= 1
    exact = [c * total / len(labels) for c in counts]
    if all(1 <= e <= c - 1 for e, c in zip(exact, counts, strict=True)):
        assert len(held) == total


def test_the_seed_decides_on_the_validation_split_alone_and_the_global_state_is_left_alone():
    train, test, own = pair(40), pair(9, seed=1), pair(6, seed=3)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, c = (make(train, test, standardise=False, validation_fraction=0.25, seed=seed) for seed in (4, 4, 5))
    a.subset(9)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == before_numpy).all()  # noqa: NPY002
    assert torch.equal(a.train.inputs, b.train.inputs)
    assert torch.equal(a.validation.inputs, b.validation.inputs)
    assert not torch.equal(a.validation.inputs, c.validation.inputs)
    together = torch.cat([a.train.inputs, a.validation.inputs]).flatten(1).tolist()
    assert sorted(together) == sorted(train[0].flatten(1).tolist())
    assert len(a.validation) == 10
    assert torch.equal(a.test.inputs, test[0])
    given = make(validation=own, standardise=False)
    assert torch.equal(given.validation.inputs, own[0])
    assert len(given.train) == 30


def test_subset_is_a_seeded_share_of_every_class_on_the_same_scale():
    task = make(pair(90), validation=pair(6, seed=3))
    small = task.subset(30, seed=2)
    assert torch.bincount(small.train.labels).tolist() == [10, 10, 10]
    rows = {tuple(r) for r in task.train.inputs.flatten(1).tolist()}
    assert {tuple(r) for r in small.train.inputs.flatten(1).tolist()} < rows
    assert torch.equal(small.train.inputs, task.subset(30, seed=2).train.inputs)
    assert not torch.equal(small.train.inputs, task.subset(30, seed=3).train.inputs)
    assert small.test is task.test
    assert small.offset == task.offset
    assert task.subset(90) is task


def test_to_moves_every_tensor_or_says_why_not():
    task = make().to("meta")
    assert {t.device.type for s in (task.train, task.validation, task.test) for t in (s.inputs, s.labels)} == {"meta"}
    with pytest.raises(InputError, match=r"'mine'.*'abacus'.*'cpu'"):  # between them torch's own words
        make().to("abacus")
