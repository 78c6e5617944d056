import time

import pytest
import time_left


def run(epochs, seconds, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    callback = time_left.TimeLeft()
    callback.set_params({"epochs": epochs})
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        clock[0] += 100.0 if epoch == 0 else seconds
        callback.on_epoch_end(epoch)


def test_the_second_epoch_tells_how_long_the_others_take(monkeypatch, capsys):
    run(30, 2.0, monkeypatch)
    assert capsys.readouterr().out == "  about 56 s left\n"


def test_a_moment_is_not_worth_a_line(monkeypatch, capsys):
    run(3, 2.0, monkeypatch)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "seconds, text", [(40, "40 s"), (200, "3 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_people_do(seconds, text):
    assert time_left.time_text(seconds) == text
