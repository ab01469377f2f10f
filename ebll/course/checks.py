"""Exercise checks for the notebooks: each takes a student's function and says that it is right, or what it does.

    ebll.course.checks.code_distance(my_code_distance)

Otherwise it raises `CheckFailed`, whose text is a hint. Values are compared on small cases of several sizes, so any
right spelling passes; random state and modes are left as they were.
"""

from ebll.course.accuracies import (
    forgetting,
    nearest_mean,
    pareto_front,
    selected_alpha,
    shrinkage,
    stability_gap,
)
from ebll.course.demonstrations import least_alpha
from ebll.course.distances import (
    autoencoder_loss,
    cka,
    code_distance,
    pca_reconstruction,
)
from ebll.course.exercise import CheckFailed
from ebll.course.networks import largest_strength, layer_penalty, replay_loss
from ebll.course.sizes import converted_weight, encoder_bytes, recon_weight, recorded_bytes
from ebll.course.steps import ebll_training, feature_shift
from ebll.course.targets import (
    distillation,
    find_the_bug,
    original_targets,
    recorded_targets,
    soften,
    window_targets,
)

__all__ = [
    "CheckFailed",
    "autoencoder_loss",
    "cka",
    "code_distance",
    "converted_weight",
    "distillation",
    "ebll_training",
    "encoder_bytes",
    "feature_shift",
    "find_the_bug",
    "forgetting",
    "largest_strength",
    "layer_penalty",
    "least_alpha",
    "nearest_mean",
    "original_targets",
    "pareto_front",
    "pca_reconstruction",
    "recon_weight",
    "recorded_bytes",
    "recorded_targets",
    "replay_loss",
    "selected_alpha",
    "shrinkage",
    "soften",
    "stability_gap",
    "window_targets",
]  # fmt: skip
