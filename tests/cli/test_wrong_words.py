"""Unknown flags and unexpected arguments: one line that names the help of the command."""

import pytest

from diffir.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "-opt", "a.yml", "--auto-resum"],
            "unknown flag --auto_resum, did you mean --auto_resume?; see diffir train",
        ),
        (["check-data", ".", "--filetmpl=x"], "unknown flag --filetmpl, did you mean --filename_tmpl?; see diffir"),
        (["models", "--zzz", "1"], "unknown flag --zzz; see diffir models --help"),
        (["check-data", ".", "more", "words"], "unexpected arguments: more words; see diffir check-data --help"),
        (["check-data"], "SET; see diffir check-data --help"),
        (["--versio"], "unknown flag --versio, did you mean --version?; see diffir --help"),
    ],
)
def test_a_wrong_argument_names_the_nearest_flag_and_the_help(arguments, said, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said in error
    assert error.count("\n") == 1
