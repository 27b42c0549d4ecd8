"""What commands do with errors."""

import os
import signal
import subprocess
import sys

import pytest

from tf_stylegan import cli, files
from tf_stylegan.errors import UserError
from tf_stylegan.training.devices import make_strategy


def raising(error):
    raise error


@pytest.mark.parametrize("value, code", [(None, 0), (0, 0), (1, 1)])
def test_what_a_function_returns(value, code):
    assert cli.run(lambda: value) == code


def test_a_mistake_is_one_line_and_exit_code_2(capsys):
    assert cli.run(raising, UserError("x is y; do z")) == 2
    assert capsys.readouterr().err == "error: x is y; do z\n"


def test_a_missing_permission_is_one_line(capsys):
    assert cli.run(raising, PermissionError(13, "Permission denied", "x.npz")) == 2
    assert capsys.readouterr().err == "error: no permission for x.npz; change it, or the user you are\n"


def test_ctrl_c(capsys):
    assert cli.run(raising, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_command_through_exceptions(number, code):
    """And handlers are as they were afterwards."""
    cleaned, before = [], signal.getsignal(number)

    def work():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit) as ended:
        cli.run(work)
    assert (ended.value.code, cleaned) == (code, [True])
    assert signal.getsignal(number) == before


def test_nohup_goes_on():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert cli.run(lambda: signal.raise_signal(signal.SIGHUP)) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_errors_keep_their_traceback():
    with pytest.raises(ValueError, match="ours"):
        cli.run(raising, ValueError("ours"))


def test_output_that_nobody_reads():
    code = "import sys; from tf_stylegan import cli; sys.exit(cli.run(lambda: [print('x' * 99) for _ in range(9999)]))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("length", [1, 99999])  # noticed at the end, or on the way
def test_output_that_finds_no_room_is_one_line(length, unbuffered):
    """Not a crash of the command, and no verdict of it, as 1 would be of `check`."""
    code = f"import sys; from tf_stylegan import cli; sys.exit(cli.run(lambda: print('x' * {length})))"
    with open("/dev/full", "w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert done.stderr == "error: could not write what the command prints: No space left on device; free some space\n"


def test_a_message_does_not_command_the_terminal(capsys):
    def fail():
        raise UserError("the server says \x1b[31mno\x07")

    assert cli.run(fail) == 2
    assert capsys.readouterr().err == "error: the server says \\x1b[31mno\\x07\n"


@pytest.mark.parametrize("parser", [cli.ArgumentParser, cli.FlagsParser])
def test_a_mistake_in_the_options_is_one_line(capsys, parser):
    commands = parser(prog="tool").add_subparsers()
    sub = commands.add_parser("draw", prog="tool draw")
    sub.add_argument("--psi", type=float)
    with pytest.raises(SystemExit) as raised:
        sub.parse_args(["--psi=x"])
    assert raised.value.code == 2
    assert capsys.readouterr().err == "error: argument --psi: invalid float value: 'x' (see tool draw --help)\n"


def test_a_gpu_that_cannot_be_used_is_explained(monkeypatch):
    monkeypatch.setattr(cli.glob, "glob", lambda pattern: [])
    assert cli.gpu_trouble() is None
    monkeypatch.setattr(cli.glob, "glob", lambda pattern: ["/dev/nvidia0"])
    said = "E0000 00:00:1 1 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: no CUDA-capable device."
    monkeypatch.setattr(cli, "_startup", ["I0000 oneDNN custom operations are on", said, "I0000 cudart found"])
    assert "GPU that TensorFlow cannot use (failed call to cuInit: INTERNAL: CUDA error: no CUDA-" in cli.gpu_trouble()
    with pytest.raises(UserError, match="--num-gpus=2: this machine has an NVIDIA GPU that TensorFlow cannot use"):
        make_strategy(2)


def test_what_is_written_to_a_terminal_that_is_left_goes_nowhere(capfd):
    stderr = os.dup(2)
    try:
        files.leave([2])
        os.write(2, b"lost")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    os.write(2, b"found")
    assert capfd.readouterr().err == "found"
