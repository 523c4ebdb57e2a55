"""``tools/walks.py``: what it counts."""

from diffir.near_names import nearest


def test_files_lines_and_functions_of_diffir_that_run_are_counted(load_tool) -> None:
    count = load_tool("walks").count

    nothing, something = count(lambda: None), count(lambda: nearest("denois", ["denoise", "photo"]))

    assert nothing == (0, 0, 0)
    assert something[0] == 1  # near_names.py
    assert something[1] > 10 > something[2] >= 1
