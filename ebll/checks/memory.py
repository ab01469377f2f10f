"""Exercise of notebook 05: the memory that the encoders of the old tasks take."""

from __future__ import annotations

from collections.abc import Callable

from ebll.checks.core import Exercise, Slip, check

__all__ = ["encoder_bytes"]


def encoder_bytes(fn: Callable) -> None:
    """Check how much memory EBLL keeps for its old tasks.

    fn       fn(feature_size, code_size, old_tasks) -> int, bytes
    wanted   weights and biases of one encoder per old task, in float32 (4 bytes a number)
    source   docs/equations.md, E4; `ebll.methods.EncoderMemory.bytes`
    """
    check(_BYTES, fn)


def _kept(features: int, code: int, tasks: int) -> int:
    """Bytes of the encoders; the shapes are those of `ebll.autoencoder.Encoder`, float32."""
    return 4 * tasks * (features * code + code)


_BYTES = Exercise(
    name="encoder_bytes",
    equation="E4",
    takes=("feature_size", "code_size", "old_tasks"),
    task="how many bytes the encoders of all old tasks take in float32, weights and biases.",
    kind="number",
    right=_kept,
    cases=lambda: [(3, 2, 1), (256, 64, 3), (1568, 100, 2)],
    verified="Encoders only, weights and biases, 4 bytes a number, one encoder per old task; E4 needs no more.",
    slips=(
        Slip(
            "your answer counts the whole autoencoder. The decoder is needed only while it is fitted (E2); E4 compares "
            "codes, so the encoder is all that stays.",
            lambda f, k, n: 4 * n * (2 * f * k + k + f),
            (
                lambda f, k, n: 8 * n * f * k,
                lambda f, k, n: 4 * (2 * f * k + k + f),
                lambda f, k, n: n * (2 * f * k + k + f),
                lambda f, k, n: 4 * (n + 1) * (2 * f * k + k + f),
            ),
        ),
        Slip(
            "your answer leaves the biases out. The encoders of this kit carry one number more per entry of the code, "
            "as the authors' code does, and E4 cannot be computed without them.",
            lambda f, k, n: 4 * n * f * k,
            (lambda f, k, n: 4 * (n + 1) * f * k, lambda f, k, n: 4 * n * f * k / 1e6),
        ),
        Slip(
            "your answer counts a single bias, for an encoder or for all of them. There is one for each entry of the "
            "code, in every encoder.",
            lambda f, k, n: 4 * n * (f * k + 1),
            (lambda f, k, n: 4 * (n * f * k + k), lambda f, k, n: 4 * (n * f * k + 1)),
        ),
        Slip(
            "your answer is in bits. Bytes are asked for: a number in float32 has 32 bits, and 8 bits are a byte.",
            lambda f, k, n: 8 * _kept(f, k, n),
        ),
        Slip(
            "your answer takes 2 bytes for each number, which is float16. In float32 each takes 4.",
            lambda f, k, n: _kept(f, k, n) / 2,
        ),
        Slip(
            "your answer counts one old task fewer. `old_tasks` is their number, the new one not among them, and each "
            "has an encoder.",
            lambda f, k, n: 4 * (n - 1) * (f * k + k),
        ),
        Slip(
            "your answer counts numbers, not bytes. In float32 each takes 4 bytes.",
            lambda f, k, n: n * (f * k + k),
            (lambda f, k, n: n * f * k, lambda f, k, n: f * k + k),
        ),
        Slip(
            "your answer is the memory of one task. EBLL keeps an encoder for every old task, so it grows with their "
            "number.",
            lambda f, k, n: 4 * (f * k + k),
            (lambda f, k, n: 4 * f * k,),
        ),
        Slip(
            "your answer is in kilobytes or megabytes. Bytes are asked for: convert only where you print.",
            lambda f, k, n: _kept(f, k, n) / 1e6,
            (
                lambda f, k, n: _kept(f, k, n) // 2**10,
                lambda f, k, n: _kept(f, k, n) / 2**20,
                lambda f, k, n: _kept(f, k, n) / 1e3,
                lambda f, k, n: _kept(f, k, n) / 2**10,
            ),
        ),
        Slip(
            "your answer gives the encoder a bias for each feature. That is the decoder's; the encoder puts out the "
            "code and has one bias per entry of the code.",
            lambda f, k, n: 4 * n * (f * k + f),
            (lambda f, k, n: 4 * n * (f * k + k + f),),
        ),
        Slip(
            "your answer counts codes or recorded targets. They are recorded anew for the images of each new task and "
            "dropped after it; what stays from task to task are the encoders.",
            lambda f, k, n: 4 * n * k,
            (lambda f, k, n: 4 * n * (f * k + 2 * k), lambda f, k, n: 4 * n * f),
        ),
        Slip(
            "your answer is twice the bytes: 8 for each number, or two copies of each encoder. In float32 a number "
            "takes 4, and E4 needs one encoder per old task.",
            lambda f, k, n: 2 * _kept(f, k, n),
        ),
        Slip(
            "your answer counts the new task too. Its encoder is fitted only after it has been learned; asked for are "
            "the old tasks.",
            lambda f, k, n: 4 * (n + 1) * (f * k + k),
        ),
    ),
)

EXERCISES = (_BYTES,)
