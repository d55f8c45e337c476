import asyncio
import json
import os
import unittest

from absl.testing import absltest

from imprinting.app.session import BusyError, Session
from imprinting.project import project_testing


class SessionTest(unittest.IsolatedAsyncioTestCase, absltest.TestCase):
    async def asyncSetUp(self):
        self.session = Session(os.path.join(project_testing.folder(self), "project"))
        self.session.start()
        self.addCleanup(self.session.stop)

    async def next(self, events) -> dict:
        text = await asyncio.wait_for(anext(events), 60)
        self.assertTrue(text.startswith("data: ") and text.endswith("\n\n"))
        return json.loads(text[6:])

    async def test_news_of_changes(self):
        events = self.session.events()
        first = await self.next(events)
        self.assertEqual(first, {"version": 1, "task": None})
        await self.session.run(self.session.project.add_class, "mug")
        self.assertEqual((await self.next(events))["version"], 2)
        await self.session.run(self.session.project.undo)
        self.assertEqual((await self.next(events))["version"], 3)

    async def test_one_task_at_a_time(self):
        events = self.session.events()
        await self.next(events)
        with self.session.task("fit") as show:
            show(3, 10)
            self.assertEqual(
                (await self.next(events))["task"], {"kind": "fit", "done": 3, "total": 10}
            )
            with self.assertRaisesRegex(BusyError, "one long task at a time"):
                with self.session.task("zip"):
                    pass
        self.assertIsNone((await self.next(events))["task"])
        with self.assertRaises(KeyError), self.session.task("zip"):
            raise KeyError
        self.assertIsNone(self.session.news["task"])

    async def test_events_end_when_the_server_stops(self):
        async def read() -> list[str]:
            return [event async for event in self.session.events()]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        await self.session.close()
        # One at the start, and perhaps one more.
        self.assertIn(len(await asyncio.wait_for(reading, 60)), (1, 2))

    async def test_errors_of_functions(self):
        for pool in ("photos", "answers", "results", "tasks", "work"):
            with self.assertRaisesRegex(ValueError, "invalid literal"):
                await self.session.run(int, "x", pool=pool)
            self.assertEqual(await self.session.run(int, "11", base=3, pool=pool), 4)


if __name__ == "__main__":
    absltest.main()
