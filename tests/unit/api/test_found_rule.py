"""The rules of an application find what answers a path, and can still be asked for the path."""

from werkzeug.routing import Map

from crawler.api.http.found_rule import FoundRule


def test_a_path_is_found_and_built():
    paths = Map([FoundRule("/task/<name>/run/<int:number>", endpoint="run")]).bind("here")
    assert paths.match("/task/shop/run/3") == ("run", {"name": "shop", "number": 3})
    assert paths.build("run", {"name": "shop", "number": 3}) == "/task/shop/run/3"
    assert paths.build("run", {"name": "shop", "number": 3, "page": 2}).endswith("/3?page=2")
