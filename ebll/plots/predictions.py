"""What is forgotten, from logged predictions: recall of each class, the images lost, and what is answered instead.

Each function takes the predictions of a run or a comparison (`Recorder(log_predictions=True)`, columns in
`ebll.recording`) on one old task while one new task is trained. *Before* is the first logged step, *after* the last;
the warm-up moves no old answer and is left out.
"""

from __future__ import annotations

import pandas as pd

from ebll.errors import InputError

from .tables import check

RUN, PAIR = ["method", "seed"], ["sequence", "training", "task"]
COLUMNS = [*PAIR, *RUN, "stage", "step", "image", "label", "predicted"]


def of_one_task(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the training itself; refuse a table of several old or new tasks."""
    rows = check(predictions, "predictions", COLUMNS, [*PAIR, *RUN, "stage", "step", "image"])
    rows = rows[rows["stage"] == "train"]
    pairs = rows[PAIR].drop_duplicates()
    if len(pairs) != 1:
        found = "; ".join(f"{one.task} while {one.training} is trained ({one.sequence})" for one in pairs.itertuples())
        raise InputError(
            f"The predictions table must hold one old task and one training; got {found or 'none'}. Keep the rows of "
            'one, such as table.query(\'task == "letters" and training == "mnist"\').'
        )
    return rows


def recall(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return method, seed, step, label, images (of that class) and recall (0 to 1, the share answered right)."""
    rows = of_one_task(predictions)
    right = (rows["label"] == rows["predicted"]).groupby([rows[name] for name in (*RUN, "step", "label")])
    return right.agg(images="count", recall="mean").reset_index()


def lost_images(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the images answered right before and wrong after, of each run in the order in which they were lost.

    step       the first logged step from which on every answer is wrong: an image may come back before it is lost
    predicted  the answer at that step
    columns: method, seed, image, label, step, predicted; at the same step in the order of the validation split
    """
    parts = []
    for run, own in of_one_task(predictions).groupby(RUN, sort=False):
        answers = own.pivot(index="image", columns="step", values="predicted")
        labels = own.groupby("image")["label"].first()
        right = answers.eq(labels, axis=0).to_numpy()
        since = right.shape[1] - right[:, ::-1].argmax(axis=1)  # one after the last right answer
        found = [
            (*run, answers.index[i], labels.iloc[i], answers.columns[since[i]], answers.iat[i, since[i]])
            for i in (right[:, 0] & ~right[:, -1]).nonzero()[0]
        ]
        columns = [*RUN, "image", "label", "step", "predicted"]
        parts.append(pd.DataFrame(found, columns=columns).sort_values("step", kind="stable"))
    return pd.concat(parts, ignore_index=True)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return method, seed, label, predicted, and before and after: the share of that class answered so (0 to 1).

    A row of the confusion matrix, of one method, seed and label, adds up to 1; pairs that never occur may be missing.
    """
    rows = of_one_task(predictions)
    steps = rows.groupby(RUN)["step"]
    shares = {
        name: rows[rows["step"] == steps.transform(end)]
        .groupby([*RUN, "label"])["predicted"]
        .value_counts(normalize=True)
        for name, end in {"before": "min", "after": "max"}.items()
    }
    return pd.DataFrame(shares).fillna(0.0).reset_index()
