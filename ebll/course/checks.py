"""Exercise checks for the notebooks: each takes a student's function and says that it is right, or what it does.

    ebll.course.checks.code_distance(my_code_distance)

Otherwise it raises `CheckFailed`, whose text is a hint. Values are compared on small cases of several sizes, so any
right spelling passes; random state and modes are left as they were.
"""

from ebll.course.accuracies import (
    backward_transfer,
    forgetting,
    nearest_mean,
    pareto_front,
    selected_alpha,
    shrinkage,
)
from ebll.course.demonstrations import least_alpha
from ebll.course.distances import (
    autoencoder_loss,
    code_distance,
    ebll_objective,
    pca_reconstruction,
    quadratic_penalty,
    reconstruction_error,
)
from ebll.course.exercise import CheckFailed
from ebll.course.networks import fisher_diagonal, new_head_only
from ebll.course.sizes import encoder_bytes, recon_weight, recorded_bytes
from ebll.course.suspects import find_the_bug
from ebll.course.targets import distillation, recorded_targets, soften, window_targets

__all__ = [
    "CheckFailed",
    "autoencoder_loss",
    "backward_transfer",
    "code_distance",
    "distillation",
    "ebll_objective",
    "encoder_bytes",
    "find_the_bug",
    "fisher_diagonal",
    "forgetting",
    "least_alpha",
    "nearest_mean",
    "new_head_only",
    "pareto_front",
    "pca_reconstruction",
    "quadratic_penalty",
    "recon_weight",
    "reconstruction_error",
    "recorded_bytes",
    "recorded_targets",
    "selected_alpha",
    "shrinkage",
    "soften",
    "window_targets",
]  # fmt: skip
