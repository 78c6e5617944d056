"""The launcher, with workers that do without TensorFlow."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.examples.running import FOLDER

LAUNCHER = [sys.executable, str(FOLDER / "launch_workers.py")]
ABOUT = """
import json, os, sys, time
config = json.loads(os.environ["TF_CONFIG"])
number = config["task"]["index"]
"""


def launch(*arguments, **kwargs):
    return subprocess.run(
        [*LAUNCHER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        **kwargs,
    )


@pytest.fixture
def program(tmp_path):
    """Writes the program that the workers run."""

    def write(text):
        path = tmp_path / "program.py"
        path.write_text(ABOUT + text)
        return path

    return write


def test_each_worker_has_its_place_and_its_lines_have_its_number(program):
    path = program(
        "print(json.dumps([config, sys.argv[1:]]))\n"
        "print('no line end', number, end='', file=sys.stderr)\n"
    )
    result = launch("--workers=3", "--", path, "--strategy=x", "--", "y")
    assert result.returncode == 0
    told = {}
    for line in result.stdout.splitlines():
        number, content = re.fullmatch(r"\[(\d)\] (.*)", line).groups()
        told[int(number)] = json.loads(content)
    places = {number: config["task"] for number, (config, _) in told.items()}
    assert places == {n: {"type": "worker", "index": n} for n in range(3)}
    assert all(
        flags == ["--strategy=x", "--", "y"] for _, flags in told.values()
    )
    (cluster,) = {json.dumps(config["cluster"]) for config, _ in told.values()}
    addresses = json.loads(cluster)["worker"]
    assert len(set(addresses)) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", each) for each in addresses)
    assert sorted(result.stderr.splitlines()) == [
        f"[{number}] no line end {number}" for number in range(3)
    ]


def test_each_worker_has_gpus_of_its_own_or_none(program):
    path = program("print(os.environ['CUDA_VISIBLE_DEVICES'])")
    for gpus, visible, expected in (
        (0, "0,1", ["-1", "-1"]),
        (2, "", ["0,1", "2,3"]),
        (1, "5,a", ["5", "a"]),
    ):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
        result = launch(f"--gpus={gpus}", "--", path, env=environment)
        assert sorted(result.stdout.splitlines()) == [
            f"[{number}] {each}" for number, each in enumerate(expected)
        ]
    result = launch("--gpus=1", "--workers=3", "--", path, env=environment)
    assert "3 GPUs are needed" in result.stderr


def test_the_first_that_fails_ends_all_and_its_exit_code_is_returned(program):
    path = program("sys.exit(7) if number == 1 else time.sleep(100)")
    result = launch("--workers=3", "--patience=0", "--", path)
    assert result.returncode == 7
    assert result.stdout == "[launcher] worker 1 ended with exit code 7\n"


def test_the_others_may_end_by_themselves(program, tmp_path):
    path = program(
        "if number: sys.exit(3)\n"
        "time.sleep(0.5)\n"
        "print('put in order', flush=True)\n"
        "sys.exit(4)\n"
    )
    result = launch("--", path)
    assert result.returncode == 3
    assert "[0] put in order\n" in result.stdout


@pytest.mark.slow
def test_who_does_not_listen_is_ended_all_the_same(program, monkeypatch):
    path = program(
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))\n"
        "print('ready', flush=True)\n"
        "while number == 0: time.sleep(0.1)\n"
        "time.sleep(0.5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = launch("--patience=0.1", "--", path)
    assert result.returncode == 128 + signal.SIGKILL
    assert "[0] no\n" in result.stdout


def test_all_are_started_again_as_often_as_it_was_said(program, tmp_path):
    path = program(
        f"starts = os.path.join({str(tmp_path)!r}, f'starts_{{number}}')\n"
        "open(starts, 'a').write(config['cluster']['worker'][0] + '\\n')\n"
        "count = len(open(starts).readlines())\n"
        "time.sleep(0.3)\n"
        "sys.exit(number == 0 and count < 3)\n"
    )
    result = launch("--restarts=1", "--", path)
    assert result.returncode == 1
    assert result.stdout.count("starting all again") == 1
    result = launch("--restarts=5", "--", path)
    assert result.returncode == 0
    assert "starting all again" not in result.stdout
    for number in range(2):
        ports = (tmp_path / f"starts_{number}").read_text().splitlines()
        assert len(ports) == 3
        assert len(set(ports)) > 1  # one may be drawn again


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_launcher_ends_the_workers(asked, program, tmp_path):
    path = program(
        f"open(os.path.join({str(tmp_path)!r}, f'id_{{number}}'), 'w')"
        ".write(str(os.getpid()))\n"
        "time.sleep(100)\n"
    )
    launcher = subprocess.Popen(
        [*LAUNCHER, "--restarts=3", "--", path],
        stdout=subprocess.DEVNULL,
        # Tests in the background of a shell ignore Ctrl-C, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    files = [tmp_path / f"id_{number}" for number in range(2)]
    wait_until(lambda: all(f.exists() and f.read_text() for f in files))
    launcher.send_signal(asked)
    assert launcher.wait(20) == 128 + asked
    for file in files:
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


def wait_until(condition, seconds=20):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.05)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Received: nothing"),
        (["--", "missing.py"], "Received: missing.py"),
        (["--workers=0", "--", __file__], "positive integer"),
        (["--restarts=-1", "--", __file__], "non-negative"),
        ([__file__, "--strategy=multi_worker"], "Unknown command line flag"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    result = launch(*arguments)
    assert result.returncode != 0
    assert message in result.stderr
