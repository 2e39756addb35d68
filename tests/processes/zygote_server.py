"""A process that has imported everything, and forks for each command that it is given on stdin.

Each line is a JSON object: a target and its words, or the number of a process to `poll`. Each answer is a line with the
number of the process, or with its exit code, which is null while it runs.
"""

import importlib
import json
import os
import sys
import traceback
import warnings


def import_everything() -> None:
    """What commands import, so that those that are forked find it."""
    import av
    import cv2
    import insightface.app
    import kornia
    import onnx
    import onnxruntime
    import torch

    # Optimizers import it when they are made.
    import torch._dynamo

    torch.set_num_threads(1)
    assert all((av, cv2, insightface, kornia, onnx, onnxruntime))
    for name in ("swap", "detect", "invert", "evaluate", "render", "prepare", "train", "export"):
        importlib.import_module(f"styleswap_core.commands.{name}_command")
    for name in ("pipeline.swapper", "metrics.samples", "preparation.prepare", "training.training_loop"):
        importlib.import_module(f"styleswap_core.{name}")
    for name in ("commands.file_swapper", "video.swap_video", "inversion.invert", "synthetic.columns"):
        importlib.import_module(f"styleswap_core.{name}")


def start(request: dict) -> int:
    """Fork; the new process calls the target and ends."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _redirect(request)
        os.chdir(request["folder"])
        os.environ.update(request["variables"])
        sys.argv = [request["target"], *request["words"]]
        module, _, function = request["target"].partition(":")
        code = getattr(importlib.import_module(module), function)(request["words"]) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # Not `sys.exit`, which would run what the first process has registered.
        os._exit(code)


def _redirect(request: dict) -> None:
    for number, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        file = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")


def poll(pid: int) -> int | None:
    """Exit code of a process, negative for signals; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def serve() -> None:
    # Answers go where no import and no command can print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Forking is safe here: this process has no other threads.
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    sys.path[:0] = json.loads(sys.stdin.readline())
    import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(start(request) if "target" in request else poll(request["poll"])), file=answers, flush=True)


if __name__ == "__main__":
    serve()
