"""Looks: told apart without colour, seen on a projector, apart for the colour-blind."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from test_figures_data import METHODS

from ebll.figures import style


def test_methods_differ_without_colour_and_can_be_seen():
    for looks in (style.METHODS, style.TERMS):
        values = list(looks.values())
        assert len({str(k.line) for k in values}) == len(values)
        assert len({k.color for k in values}) == len(values)
        assert min(style.contrast_to_white(k.color) for k in values) >= 3
    assert len({k.marker for k in style.METHODS.values()}) == len(METHODS)
    assert list(style.METHODS) == METHODS
    assert min(map(style.contrast_to_white, (style.INK, style.SOFT))) >= 4.5


def test_contrast_by_hand():
    assert style.contrast_to_white("#000000") == pytest.approx(21)
    assert style.contrast_to_white("#ffffff") == pytest.approx(1)
    assert style.ink_on("#000000") == "#ffffff"


# Machado, Oliveira and Fernandes (2009), full deficiency; applied to linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("group", [("finetune", "lwf", "ebll"), ("finetune", "lwf", "ewc", "ebll"), style.TERMS])
def test_colours_of_the_main_methods_stay_apart_for_everyone(deficiency, group):
    everything = style.METHODS | {f"term {k}": v for k, v in style.TERMS.items()}
    names = group if group is not style.TERMS else [f"term {k}" for k in style.TERMS]
    seen = [oklab(np.asarray(DEFICIENCIES[deficiency]) @ linear(everything[name].color)) for name in names]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 0.055


def linear(color):
    value = np.array(to_rgb(color))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    mix = [
        [0.21045426, 0.7936178, -0.00407205],
        [1.9779985, -2.4285922, 0.4505937],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(mix) @ np.cbrt(np.array(cones) @ np.clip(rgb, 0, 1))


def test_main_colours_are_seaborns():
    seaborn = pytest.importorskip("seaborn")
    palette = seaborn.color_palette("colorblind").as_hex()
    assert {style.METHODS[m].color for m in ("finetune", "lwf", "ewc", "ebll")} <= set(palette)


def test_a_readers_own_method_gets_a_look_of_its_own():
    looks = style.looks(["mine", "ebll", "alone", "theirs"])
    assert list(looks) == ["alone", "ebll", "mine", "theirs"]
    assert looks["mine"].label == "mine"
    assert len({(k.color, k.marker) for k in looks.values()}) == 4
