"""A Redis whose answers get lost on their way."""

from __future__ import annotations

import random
from functools import partial
from types import SimpleNamespace
from typing import Any

from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer


class Losing(RedisServer):
    """Loses the answer to some calls, which Redis has carried out."""

    def __init__(self, access: Access, share: float) -> None:
        """`share` is that of the calls whose answers are lost."""
        super().__init__(access)
        self.lost, self._share, self._chosen = 0, share, random.Random(1)

    def _client(self) -> Any:
        client = super()._client()
        return SimpleNamespace(execute_command=partial(self._asked, client))

    def _asked(self, client: Any, *command: Any) -> Any:
        answer = client.execute_command(*command)
        if self._chosen.random() < self._share:
            self.lost += 1
            raise ConnectionError("the answer is lost")
        return answer
