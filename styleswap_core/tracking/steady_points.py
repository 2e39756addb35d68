"""Steady points of a track: the detector's points, averaged along the motion of the face."""

import numpy as np

# Weight of motions that are not to be trusted, as a share of the others'.
_DOUBTFUL = 0.05


def steady_points(
    guesses: np.ndarray,
    detected: np.ndarray,
    weights: np.ndarray,
    moves: np.ndarray,
    followed: np.ndarray,
    window: float,
    doubtful: np.ndarray | None = None,
) -> np.ndarray:
    """Points that agree with the detections and with the motion between frames, in the sense of least squares.

    The detector's noise moves points from frame to frame; optical flow knows the motion from one frame to the next, but
    its errors add up. The sum of squared deviations from both is minimized, for each coordinate:
    sum(weight (p - detected)^2) + window^2 sum((p_next - p - move)^2). Detections about `window` frames before and
    after count, and a face that moves is not held back.

    Args:
        guesses: (T, 5, 2), points of frames with neither a detection nor a motion beside them.
        detected: (T, 5, 2), detected points; any value where the weight is 0.
        weights: (T,), weight of each frame's detection; 0 for frames without one.
        moves: (T, 5, 2), motion of the points to the next frame; the last one does not count.
        followed: (T,) bool, whether `moves` is known.
        window: Frames; 0 returns the detections, and follows the motion between them.
        doubtful: (T,) bool, whether the motion to the next frame may be that of something in front of the face.

    Returns:
        (T, 5, 2) float64.
    """
    count = len(guesses)
    coupling = np.where(followed, max(window, 0.05) ** 2, 1e-4)
    if doubtful is not None:
        coupling[doubtful] *= _DOUBTFUL
    coupling[count - 1 :] = 0.0
    step = np.where(followed[:, None, None], moves, 0.0).astype(np.float64)
    # Where neither is known, the guess has a little weight, so that the system has a solution.
    own = weights + 1e-6
    right = (weights[:, None, None] * detected + 1e-6 * guesses).astype(np.float64)
    right[:-1] -= coupling[:-1, None, None] * step[:-1]
    right[1:] += coupling[:-1, None, None] * step[:-1]
    diagonal = own + coupling + np.concatenate([[0.0], coupling[:-1]])
    return _solve_tridiagonal(diagonal, -coupling[:-1], right.reshape(count, -1)).reshape(guesses.shape)


def _solve_tridiagonal(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solution (T, N) of a symmetric tridiagonal system: Thomas' algorithm.

    Args:
        diagonal: (T,).
        beside: (T - 1,), the elements beside the diagonal.
        right: (T, N), right-hand sides.
    """
    count = len(diagonal)
    upper, solution = np.zeros(count), np.zeros_like(right)
    pivot = diagonal[0]
    solution[0] = right[0] / pivot
    for row in range(1, count):
        upper[row - 1] = beside[row - 1] / pivot
        pivot = diagonal[row] - beside[row - 1] * upper[row - 1]
        solution[row] = (right[row] - beside[row - 1] * solution[row - 1]) / pivot
    for row in range(count - 2, -1, -1):
        solution[row] -= upper[row] * solution[row + 1]
    return solution
