"""Table in, figure out: the plots of the course, drawn with seaborn and matplotlib.

Every plot function takes a tidy table and returns matplotlib's `Figure`, with two attributes: `table`, the numbers that
are drawn, and `alt`, what is seen in words. A notebook shows the figure with its alt text; `save` writes it all:

    figure = ebll.plots.feature_distance(curves, "cnn:letters-textures")
    ebll.plots.save(figure, "figures/feature-distance")      # .png, .svg, .csv, .txt

Strong lines, bars and marks are means over seeds; thin lines and small dots are the seeds. Intervals have figures of
their own: `claims_overview` draws them (M9). Arguments that many share:

accuracy   the accuracy table of a run, a comparison or the main job: fractions from 0 to 1 on test images
curves     the curves table: a row per step and measured old task, on held-out inputs
predictions  the predictions table, of one old task and one training: a row per step and held-out image
sequence   id of a sequence, as in the table; may be left out where the table holds one
sequences  one id or several, a panel each (default: all in the table)
methods    which methods (default: all in the table)
"""

from ebll.metrics import pareto_front

from .accuracy import accuracy_matrix, forgetting_bars, forgetting_by_gap, stability_plasticity
from .dynamics import competition, drift_parts, landscape, probes, signals, stability_gap
from .figure import save
from .forgotten import class_recall, confusion, confusion_matrix, forgotten_images, lost_images
from .lines import accuracy_over_steps, average_along_sequence, feature_distance, loss_terms, over_setting
from .sheets import claims_overview, submanifold, task_images
from .style import METHODS, TERMS, Style, drawing, ordered, styles
from .tables import outcomes

__all__ = [
    "METHODS", "TERMS", "Style", "accuracy_matrix", "accuracy_over_steps", "average_along_sequence", "claims_overview",
    "class_recall", "competition", "confusion", "confusion_matrix", "drawing", "drift_parts", "feature_distance",
    "forgetting_bars", "forgetting_by_gap", "forgotten_images", "landscape", "loss_terms", "lost_images", "ordered",
    "outcomes", "over_setting", "pareto_front", "probes", "save", "signals", "stability_gap", "stability_plasticity",
    "styles", "submanifold", "task_images",
]  # fmt: skip
