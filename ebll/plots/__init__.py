"""Table in, figure out: the plots of the course, drawn with seaborn and matplotlib.

Every plot function takes a tidy table and returns matplotlib's `Figure`, with two attributes: `table`, the numbers that
are drawn, and `alt`, what is seen in words. A notebook shows the figure with its alt text; `save` writes it all:

    figure = ebll.plots.feature_distance(curves, "cnn:letters-textures")
    ebll.plots.save(figure, "figures/feature-distance")      # .png, .svg, .csv, .txt

The function of the same name with `_table` returns just the numbers. Lines, bars and marks are means over seeds; their
bands, whiskers and crosses are 95 % t-intervals (M9), missing where there is one seed. Arguments that many share:

accuracy   the accuracy table of a run, a comparison or the main job: fractions from 0 to 1 on test images
curves     the curves table: a row per step and measured old task, on held-out inputs
sequence   id of a sequence, as in the table; may be left out where the table holds one
sequences  one id or several, a panel each (default: all in the table)
methods    which methods (default: all in the table)
ax         an Axes of yours, for a plot of one panel; the returned Figure is that of `ax`
"""

from ebll.metrics import pareto_front

from .accuracy import (
    accuracy_matrix,
    accuracy_matrix_table,
    forgetting_bars,
    forgetting_by_gap,
    forgetting_by_gap_table,
    forgetting_table,
)  # fmt: skip
from .figure import save
from .lines import (
    accuracy_over_steps,
    accuracy_over_steps_table,
    average_along_sequence,
    average_along_sequence_table,
    feature_distance,
    feature_distance_table,
    loss_terms,
    loss_terms_table,
    over_setting,
    over_setting_table,
)  # fmt: skip
from .planes import (
    stability_plasticity,
    stability_plasticity_table,
    submanifold,
    submanifold_table,
    tradeoff_fronts,
    tradeoff_fronts_table,
)  # fmt: skip
from .sheets import claims_overview, claims_table, task_images, task_images_table
from .style import METHODS, TERMS, Style, drawing, ordered, styles
from .tables import outcomes

__all__ = [
    "METHODS", "TERMS", "Style", "accuracy_matrix", "accuracy_matrix_table", "accuracy_over_steps",
    "accuracy_over_steps_table", "average_along_sequence", "average_along_sequence_table", "claims_overview",
    "claims_table", "drawing", "feature_distance", "feature_distance_table", "forgetting_bars", "forgetting_by_gap",
    "forgetting_by_gap_table", "forgetting_table", "loss_terms", "loss_terms_table", "ordered", "outcomes",
    "over_setting", "over_setting_table", "pareto_front", "save", "stability_plasticity", "stability_plasticity_table",
    "styles", "submanifold", "submanifold_table", "task_images", "task_images_table", "tradeoff_fronts",
    "tradeoff_fronts_table",
]  # fmt: skip
