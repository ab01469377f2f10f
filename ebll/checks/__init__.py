"""Exercise checks for the notebooks: each takes a student's function and says that it is right, or what it does.

    ebll.checks.code_distance(my_code_distance)

On success a check prints one line that says what has been verified. Otherwise it raises `CheckFailed`, whose text is a
hint; a notebook shows it without a traceback. Checks compare with the library's own functions on small cases of several
sizes, so that any right spelling passes; they leave random state and modes as they were.

Notebook 01: `forgetting`, `new_head_only`. 02: `temperature`, `soften`, `distillation`, `recorded_targets`.
03: `pca_reconstruction`, `reconstruction_error`, `autoencoder_loss`. 04: `code_distance`, `ebll_objective`.
05: `average_accuracy`, `backward_transfer`, `encoder_bytes`. 06: `fisher_diagonal`, `quadratic_penalty`.
07: `pareto_front`, `shrinkage`, `honest_alpha`. 08: `alpha_from_mse`, `window_targets`, `recorded_bytes`.
"""

from __future__ import annotations

from ebll.checks.anchors import fisher_diagonal
from ebll.checks.choosing import temperature
from ebll.checks.codes import autoencoder_loss, reconstruction_error
from ebll.checks.components import pca_reconstruction
from ebll.checks.core import CheckFailed
from ebll.checks.distilling import distillation, soften
from ebll.checks.fronts import pareto_front
from ebll.checks.honest import honest_alpha, shrinkage
from ebll.checks.matrices import average_accuracy, backward_transfer, forgetting
from ebll.checks.memory import encoder_bytes
from ebll.checks.networks import new_head_only, recorded_targets
from ebll.checks.objective import code_distance, ebll_objective
from ebll.checks.penalty import quadratic_penalty
from ebll.checks.scaling import alpha_from_mse, recorded_bytes
from ebll.checks.windows import window_targets

__all__ = [
    "CheckFailed",
    "alpha_from_mse",
    "autoencoder_loss",
    "average_accuracy",
    "backward_transfer",
    "code_distance",
    "distillation",
    "ebll_objective",
    "encoder_bytes",
    "fisher_diagonal",
    "forgetting",
    "honest_alpha",
    "new_head_only",
    "pareto_front",
    "pca_reconstruction",
    "quadratic_penalty",
    "reconstruction_error",
    "recorded_bytes",
    "recorded_targets",
    "shrinkage",
    "soften",
    "temperature",
    "window_targets",
]
