"""What the command line says to who comes from Scrapy."""

import time

import click
import pytest
from click.testing import CliRunner

from crawler.cli import main
from crawler.cli.base import SCRAPYS, commands
from crawler.devtools.page_fetcher import NoPage
from crawler.devtools.shell import Console

assert main


@pytest.mark.parametrize("name", SCRAPYS)
def test_a_command_of_scrapy_is_told_by_its_name_here(name):
    result = CliRunner().invoke(commands, [name, "books"])
    assert result.exit_code == click.UsageError.exit_code
    assert f"{name} is a command of Scrapy; here: {SCRAPYS[name]}" in result.output


def test_the_version_is_told():
    result = CliRunner().invoke(commands, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("crawler, version ")


def test_the_shell_tells_of_a_page_that_is_not_there_in_a_line(capfd):
    def fetch():
        raise NoPage("http://nobody/: dns")

    Console({"fetch": fetch}).push("fetch()")
    assert capfd.readouterr().err == "http://nobody/: dns\n"


def test_the_shell_shows_where_code_of_its_user_fails(capfd, callback_errors):
    Console({}).push("1/0")
    told = capfd.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("ZeroDivisionError: division by zero\n")


def test_a_long_name_in_a_faulty_declaration_is_told_at_once(tmp_path):
    file = tmp_path / "shop.yaml"
    name = "price_in_euros_with_tax_and_delivery-old"
    file.write_text(f"name: shop\nitems:\n  - fields: {{{name}: {{css: ':'}}}}\n")
    began_s = time.process_time()
    result = CliRunner().invoke(commands, ["check", str(file)])
    assert f"items[0].fields.{name}.css" in result.output
    assert time.process_time() - began_s < 5
