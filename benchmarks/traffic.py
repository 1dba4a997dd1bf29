"""A producer cheap enough to leave the cores to what is measured: `python -m benchmarks.traffic`.

What belongs here: rendered events of 20,000 users at a steady rate or as a backlog, of which some are sent twice and
some are late.
What does not: every other trouble of real traffic, and people who behave (`producer`).
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from orchestration.settings import load
from producer.client import connect
from producer.config import ProducerConfig
from producer.templates import Templates
from producer.timing import Schedule, lag

_USERS, _TEMPLATES = 20_000, 200_000
_BATCH, _REMEMBERED = 1_000, 100_000
_Message = tuple[bytes, bytes, str]


@click.command()
@click.option("--rate", type=float, default=0.0, help="Messages a second, those that are sent twice included.")
@click.option("--seconds", type=float, default=0.0)
@click.option("--count", type=int, default=0, help="So many as fast as possible, instead of a rate.")
@click.option("--duplicates", type=float, default=0.02, show_default=True, help="Part that was sent before.")
@click.option("--late", type=float, default=0.01, show_default=True, help="Part that is minutes to days old.")
def produce(rate: float, seconds: float, count: int, duplicates: float, late: float) -> None:
    """Send a stream; prints a line when it begins, and a summary as JSON when all is acknowledged."""
    settings = load()
    config = ProducerConfig(settings.kafka_bootstrap_servers, kafka_options=dict(settings.kafka_options), fast=True)
    client: Any = connect(config, lambda _: None)
    mixture = _mixture(random.Random(), duplicates, late)
    print("begins", flush=True)
    failed: list[Any] = []
    began = time.time()
    sent = 0
    for due in _at_once(count) if count else _paced(rate, began + seconds):
        messages = mixture(due)
        _send(client, settings.kafka_topics[0], messages, failed)
        sent += len(messages)
    took = time.time() - began
    client.flush(60.0)
    print(json.dumps({"sent": sent, "failed": len(failed) + len(client), "seconds": took}))


def _paced(rate: float, until: float) -> Iterator[list[int]]:
    """The times that are due, in batches, until the end."""
    schedule = Schedule(rate, round(time.time() * 1e6))
    while (now := time.time()) < until:
        yield schedule.take(round(now * 1e6), _BATCH)
        time.sleep(schedule.wait(round(time.time() * 1e6)))


def _at_once(count: int) -> Iterator[list[int]]:
    """So many times, all of them now."""
    for done in range(0, count, _BATCH):
        yield [round(time.time() * 1e6)] * min(_BATCH, count - done)


def _mixture(chance: random.Random, duplicates: float, late: float) -> Callable[[list[int]], list[_Message]]:
    """For the times that are due the messages: new ones, some of them late, and some that were sent before."""
    templates = Templates(_USERS, chance.getrandbits(48), round(time.time() * 1e6), _TEMPLATES)
    remembered: list[_Message] = []

    def messages(due: list[int]) -> list[_Message]:
        fresh = [at for at in due if not remembered or chance.random() >= duplicates]
        again = [chance.choice(remembered) for _ in range(len(due) - len(fresh))]
        made = templates.render([at - lag(chance, at) if chance.random() < late else at for at in fresh])
        remembered.extend(made)
        del remembered[:-_REMEMBERED]
        return made + again

    return messages


def _send(client: Any, topic: str, messages: list[_Message], failed: list[Any]) -> None:
    def report(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    for key, value, _ in messages:
        while True:
            try:
                client.produce(topic, value, key, on_delivery=report)
                break
            except BufferError:
                client.poll(0.05)
    client.poll(0)


if __name__ == "__main__":
    produce()
