"""Styles: told apart without colour, seen on a projector, apart for the colour-blind."""

import itertools

import numpy as np
import pytest
from ebll.plots.planes import CLASSES
from matplotlib.colors import to_rgb
from plots_rig import METHODS

from ebll.plots import METHODS as STYLES
from ebll.plots import TERMS, ordered, style, styles


def test_methods_differ_without_colour_and_can_be_seen():
    for table in (STYLES, TERMS):
        values = list(table.values())
        assert len({str(k.line) for k in values}) == len(values)
        assert len({k.color for k in values}) == len(values)
        assert min(contrast_to_white(k.color) for k in values) >= 3
    assert len({k.marker for k in STYLES.values()}) == len(METHODS)
    assert list(STYLES) == METHODS
    assert min(map(contrast_to_white, (style.INK, style.SOFT))) >= 4.5


def contrast_to_white(color):
    """WCAG: 3 is asked of lines, 4.5 of text."""
    return 1.05 / (linear(color) @ (0.2126, 0.7152, 0.0722) + 0.05)


def test_contrast_by_hand():
    assert contrast_to_white("#000000") == pytest.approx(21)
    assert contrast_to_white("#ffffff") == pytest.approx(1)


# Machado, Oliveira and Fernandes (2009), full deficiency; applied to linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("group", [("finetune", "lwf", "ebll"), ("finetune", "lwf", "ewc", "ebll"), TERMS])
def test_colours_of_the_main_methods_stay_apart_for_everyone(deficiency, group):
    everything = STYLES | {f"term {k}": v for k, v in TERMS.items()}
    names = group if group is not TERMS else [f"term {k}" for k in TERMS]
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
    assert {STYLES[m].color for m in ("finetune", "lwf", "ewc", "ebll")} <= set(palette)


def test_a_readers_own_method_gets_a_style_of_its_own():
    found = styles(["mine", "ebll", "alone", "theirs"])
    assert list(found) == ordered(["theirs", "mine", "ebll", "alone", "mine"]) == ["alone", "ebll", "mine", "theirs"]
    assert found["mine"].label == "mine"
    assert len({(k.color, k.marker) for k in found.values()}) == 4


def test_eight_kinds_differ_without_colour():
    found = styles([f"kind {i}" for i in range(8)]).values()
    assert len({k.color for k in found}) == len({k.marker for k in found}) == len({str(k.line) for k in found}) == 8
    assert min(contrast_to_white(k.color) for k in found) >= 3


def test_six_classes_differ_in_colour_and_marker():
    assert len(CLASSES) == len(set(CLASSES.values())) == 6
    assert min(map(contrast_to_white, CLASSES)) >= 3
