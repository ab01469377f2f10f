"""Where the time of a training step goes, by kind of operator, from torch's profiler."""

from __future__ import annotations

import time
from collections.abc import Callable
from fnmatch import fnmatchcase

from torch.profiler import ProfilerActivity, profile

__all__ = ["GROUPS", "PRODUCTS", "REST", "group_of", "shares"]

# Group -> names of operators, as patterns, without "aten::"; the first group that fits counts.
PRODUCTS = "products and convolutions"
GROUPS = {
    PRODUCTS: "addmm* mm bmm baddbmm* addmv* mv dot linear matmul conv* *_convolution* *_conv2d*",
    "optimiser step": "Optimizer.* _fused_sgd* _fused_adam*",
    "drawing the batch": "index index_select randperm",
    "softmax and cross-entropy": "*softmax* nll_loss* cross_entropy*",
    "other elementwise": "add* sub* rsub* mul* div* neg* pow* square* sqrt* exp* log* abs* sum* mean* mse_loss* relu* "
    "clamp* threshold* sigmoid* tanh* where* cat copy* fill* zero_* _foreach* lerp* isfinite* eq* ne*",
}
REST = "everything else (calls, bookkeeping)"


def group_of(operator: str) -> str:
    """The group of an operator by its name in the profile."""
    name = operator.removeprefix("aten::")
    fitting = (group for group, patterns in GROUPS.items() if any(fnmatchcase(name, p) for p in patterns.split()))
    return next(fitting, REST)


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Share of each group in the processor's time of a call; they sum to 1.

    An operator's time is its own, without that of the operators that it calls. What no operator accounts for, which is
    Python for the most part, counts as the last group.
    """
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        begun = time.perf_counter()
        work()
        wall = 1e6 * (time.perf_counter() - begun)
    spent = dict.fromkeys([*GROUPS, REST], 0.0)
    for one in seen.key_averages():
        spent[group_of(one.key)] += one.self_cpu_time_total
    known = sum(spent.values())
    whole = max(wall, known)  # with a GPU two threads are at work, and their times may add up to more
    spent[REST] += whole - known
    return {group: time_spent / whole for group, time_spent in spent.items()}
