from bci.config.reference import PAGE, reference
from bci.config.rig import Valve


def test_written_page_is_that_of_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "older than the settings: run `make docs`"
    )


def test_every_setting_of_a_nested_table_is_listed_under_its_path() -> None:
    _, _, section = reference().partition("## rig.board.valve\n")
    section = section.partition("\n## ")[0]
    for name in Valve.model_fields:
        assert f"| `{name}` |" in section
    assert "> 0, ≤ 1" in section


def test_needed_settings_and_every_kind_of_source_are_marked() -> None:
    page = reference()
    assert '## rig.source (kind = "recording")' in page
    assert '## rig.source (kind = "tcp" or "zmq")' in page
    assert "| `p_plus` | list | **needed** |" in page
