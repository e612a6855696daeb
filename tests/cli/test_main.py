"""The command line itself: what it says to words that it does not know."""

import pytest

from mobilenets.cli.main import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train photos --epocs 3", "mobilenets train: unrecognized arguments: --epocs 3; did you mean --epochs?"),
        (
            "train photos --batchsize=3",
            "mobilenets train: unrecognized arguments: --batchsize=3; did you mean --batch-",
        ),
        ("predict runs/a b.jpg --tpo 3", "mobilenets predict: unrecognized arguments: --tpo"),
        ("cache --zebra", "mobilenets cache: unrecognized arguments: --zebra (see 'mobilenets cache --help')"),
        ("cache now", "mobilenets cache: unrecognized arguments: now (see 'mobilenets cache --help')"),
        ("--verbose cache", "mobilenets cache: unrecognized arguments: --verbose (see"),
        ("trian photos", "mobilenets: no command is called 'trian'; did you mean train? (see 'mobilenets --help')"),
        ("zebra", "mobilenets: no command is called 'zebra' (see 'mobilenets --help')"),
        ("", "mobilenets: the following arguments are required: COMMAND"),
        ("train photos --epochs x", "mobilenets train: argument --epochs: invalid int value: 'x' (see 'mobilenets tr"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_command_and_its_help(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    out, error = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert error.startswith(told)
    assert error.count("\n") == 1
