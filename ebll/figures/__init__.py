"""Table in, picture out: the figures of the course.

Every function takes a tidy table (or the list of claims) and returns a `Picture`: a matplotlib Figure that shows itself
in a notebook, carries the numbers it draws (`.table`), says what is seen (`.alt`) and saves all of it:

    picture = feature_distance(curves, "cnn:letters-textures")
    picture.save("figures/feature-distance")      # .png, .svg, .csv, .txt

The function of the same name with `_table` returns just those numbers: compute, then draw. Means are over seeds;
intervals are 95 % Student-t intervals of the mean; every caption states how many seeds there were.

This room knows tables and looks; it knows nothing of tensors, networks or training, and never touches pyplot, so a
picture may be made from any thread.
"""

from .claims import claims_overview, claims_table
from .curves import feature_distance, feature_distance_table, loss_terms, loss_terms_table
from .forgetting import forgetting_bars, forgetting_table
from .fronts import pareto_front, tradeoff_fronts, tradeoff_fronts_table
from .gap import forgetting_by_gap, forgetting_by_gap_table
from .images import task_images, task_images_table
from .knobs import over_knob, over_knob_table
from .matrix import accuracy_matrix, accuracy_matrix_table
from .outcomes import outcomes
from .picture import Picture
from .progress import accuracy_over_steps, accuracy_over_steps_table
from .save import save
from .sequence import average_along_sequence, average_along_sequence_table
from .style import METHODS, TERMS, Look, drawing, looks, ordered
from .submanifold import submanifold, submanifold_table
from .tradeoff import stability_plasticity, stability_plasticity_table

__all__ = [
    "METHODS",
    "TERMS",
    "Look",
    "Picture",
    "accuracy_matrix",
    "accuracy_matrix_table",
    "accuracy_over_steps",
    "accuracy_over_steps_table",
    "average_along_sequence",
    "average_along_sequence_table",
    "claims_overview",
    "claims_table",
    "drawing",
    "feature_distance",
    "feature_distance_table",
    "forgetting_bars",
    "forgetting_by_gap",
    "forgetting_by_gap_table",
    "forgetting_table",
    "looks",
    "loss_terms",
    "loss_terms_table",
    "ordered",
    "outcomes",
    "over_knob",
    "over_knob_table",
    "pareto_front",
    "save",
    "stability_plasticity",
    "stability_plasticity_table",
    "submanifold",
    "submanifold_table",
    "task_images",
    "task_images_table",
    "tradeoff_fronts",
    "tradeoff_fronts_table",
]
