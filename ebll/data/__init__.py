"""Images to learn from: five tasks known by name, and a user's own tensors or folder as a task in one line.

    task = load_task("letters")                                # 28 x 28 grey, standardised by its own training split
    mine = Task.from_tensors("mine", (x, y), (x_test, y_test))
    leaves = Task.from_folder("leaves/", size=28)
    task_table()                                               # what there is, and under which licence

Four of the tasks are inside packages that ebll requires, so they work offline.
"""

import lazy_loader

# A list of the tasks needs no torch, whose import takes longer than everything else here; the names stand in
# __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
