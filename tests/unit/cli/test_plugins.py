"""`antiphon plugins` lists what can be switched on, and the doctor loads what is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.doctor.run import examine
from antiphon.cli.main import app
from tests.plugins import plugin


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    plugin(tmp_path / "plugins", "softly", "async def answer_ready(self, moment, answer): ...")
    plugin(tmp_path / "plugins", "broken", "this is no Python")
    file = tmp_path / "antiphon.yaml"
    file.write_text("plugins: {folders: [plugins], enabled: [softly]}\nproviders: {}\ndetect_local_models: false\n")
    return file


def test_all_are_listed_for_programs_and_for_people(settings: Path) -> None:
    done = CliRunner().invoke(app, ["plugins", "--json"])
    assert done.exit_code == 0, done.output
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert (found["softly"]["enabled"], found["softly"]["version"]) == (True, "1.2.3")
    assert found["softly"]["hooks"] == ["answer_ready"]
    assert (found["voice"]["enabled"], found["voice"]["problem"]) == (False, "")
    assert "cannot be loaded: SyntaxError" in found["broken"]["problem"]
    shown = CliRunner().invoke(app, ["plugins"]).stdout
    assert "Turns voice notes into text." in " ".join(shown.split())


async def test_the_doctor_says_which_load_and_which_do_not(settings: Path) -> None:
    (finding,) = [each for each in await examine(settings) if each.what == "Plugins"]
    assert (finding.mark, finding.found) == ("ok", "softly")
    settings.write_text("plugins: {folders: [plugins], enabled: [softly, broken]}\ndetect_local_models: false\n")
    (finding,) = [each for each in await examine(settings) if each.what == "Plugins"]
    assert finding.mark == "fail"
    assert "The plugin 'broken' cannot be loaded" in finding.found
