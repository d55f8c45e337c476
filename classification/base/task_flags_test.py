"""Tests of task_flags.py: all schedulers, and all values that cannot be."""

import warnings

from absl.testing import absltest, flagsaver, parameterized

from classification.base import task_flags
from classification.base.task_flags import Task

_ARRAY = {"SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
_STEP = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3"}
_BATCH = {"AWS_BATCH_JOB_ARRAY_INDEX": "7", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}
_CLOUD_RUN = {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}
_KUBERNETES = {"JOB_COMPLETION_INDEX": "2"}


def chosen(environment, task=None, num_tasks=None, say=lambda _: None):
    with flagsaver.flagsaver(task=task, num_tasks=num_tasks):
        return task_flags.chosen(say, environment)


class TaskFlagsTest(parameterized.TestCase):
    @parameterized.parameters(
        ({}, 0, 2, (0, 2)),
        ({}, 2, 3, (2, 3)),
        (_KUBERNETES, None, 3, (2, 3)),
        ({**_ARRAY, "SLURM_ARRAY_TASK_ID": "1"}, None, None, (0, 4)),
        ({**_ARRAY, "SLURM_ARRAY_TASK_ID": "4"}, None, None, (3, 4)),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2"}, None, None, (0, 2)),
        (_STEP, None, None, (2, 3)),
        # Each process of each task of an array.
        ({**_ARRAY, **_STEP, "SLURM_ARRAY_TASK_ID": "3"}, None, None, (8, 12)),
        (_BATCH, None, None, (7, 8)),
        (_CLOUD_RUN, None, None, (0, 2)),
        # The number of tasks that the scheduler knows, too.
        (_BATCH, None, 8, (7, 8)),
    )
    def test_task(self, environment, task, num_tasks, expected):
        self.assertEqual(chosen(environment, task, num_tasks), Task(*expected))

    @parameterized.parameters(
        {},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"},
        # What a script that sbatch starts sees. srun would start the other processes.
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
        {"SLURM_ARRAY_TASK_ID": "3"},
        {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "1"},
    )
    def test_run_on_its_own(self, **environment):
        self.assertIsNone(chosen(environment))

    @parameterized.parameters(_ARRAY | {"SLURM_ARRAY_TASK_ID": "2"}, _BATCH, _STEP, _KUBERNETES)
    def test_flags_win_over_variables(self, **environment):
        self.assertEqual(chosen(environment, 1, 5), Task(1, 5))
        self.assertIsNone(chosen(environment, None, 1))
        self.assertIsNone(chosen(environment, 0, 1))
        self.assertEqual(chosen({name: "no" for name in environment}, 1, 5), Task(1, 5))

    @parameterized.parameters(
        (_STEP, None, "Task 2 of 3, by SLURM_PROCID in"),
        (
            {**_ARRAY, **_STEP, "SLURM_ARRAY_TASK_ID": "3"},
            None,
            "Task 8 of 12, by SLURM_ARRAY_TASK_ID and SLURM_PROCID in",
        ),
        (_KUBERNETES, 3, "Task 2 of 3, by JOB_COMPLETION_INDEX in"),
    )
    def test_says_which_variables_it_uses(self, environment, num_tasks, expected):
        said = []
        chosen(environment, None, num_tasks, said.append)
        self.assertEqual(
            said,
            [f"{expected} the environment. With --num_tasks=1, this process does all the work."],
        )
        chosen(environment, 1, 3, said.append)
        chosen(environment, None, 1, said.append)
        self.assertLen(said, 1)

    def test_warns_of_indexed_job_without_number_of_tasks(self):
        with self.assertWarnsRegex(UserWarning, "JOB_COMPLETION_INDEX is ignored without --num_t"):
            self.assertIsNone(chosen(_KUBERNETES))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chosen(_KUBERNETES, None, 1)
            chosen(_KUBERNETES, None, 3)

    @parameterized.parameters(
        ({}, 1, None, "--num_tasks with --task=1, got none"),
        (_BATCH, 1, None, "--num_tasks with --task=1, got none"),
        ({}, None, 3, "expected --task, or variables .* with --num_tasks=3, got none; add --task"),
        (_BATCH, None, 3, "--num_tasks=3, got those of a scheduler for 8 tasks; add --task"),
        ({}, 3, 3, r"--task in 0\.\.2 with --num_tasks=3, got 3"),
        ({}, -1, 3, r"--task in 0\.\.2 with --num_tasks=3, got -1"),
        ({}, 1, 1, r"--task in 0\.\.0 with --num_tasks=1, got 1"),
        ({}, 0, 0, "--num_tasks of at least 1, got 0"),
        ({}, None, -2, "--num_tasks of at least 1, got -2"),
        (_KUBERNETES, None, 2, r"--task in 0\.\.1 with --num_tasks=2, got 2"),
        ({"JOB_COMPLETION_INDEX": "a"}, None, 2, "variable JOB_COMPLETION_INDEX, got 'a'"),
        ({"JOB_COMPLETION_INDEX": ""}, None, 2, "variable JOB_COMPLETION_INDEX, got ''"),
        ({"CLOUD_RUN_TASK_COUNT": "2"}, None, None, "CLOUD_RUN_TASK_INDEX, got none"),
        (_CLOUD_RUN | {"CLOUD_RUN_TASK_COUNT": "two"}, None, None, "_COUNT, got 'two'"),
        (_CLOUD_RUN | {"CLOUD_RUN_TASK_COUNT": "²"}, None, None, "_COUNT, got '²'"),
        (_CLOUD_RUN | {"CLOUD_RUN_TASK_INDEX": "-1"}, None, None, "_INDEX, got '-1'"),
        (_CLOUD_RUN | {"CLOUD_RUN_TASK_INDEX": "2"}, None, None, "one of 2 consecutive .* got 2"),
        (_BATCH | {"AWS_BATCH_JOB_ARRAY_SIZE": "0"}, None, None, "one of 0 consecutive"),
        # An array of the tasks 1, 3, 5 and 7.
        (_ARRAY | {"SLURM_ARRAY_TASK_ID": "7"}, None, None, "one of 4 consecutive .* got 7; use"),
        (_ARRAY | {"SLURM_ARRAY_TASK_ID": "0"}, None, None, "one of 4 consecutive .* got 0; use"),
        (_STEP | {"SLURM_PROCID": "1.5"}, None, None, "variable SLURM_PROCID, got '1.5'"),
    )
    def test_bad_values(self, environment, task, num_tasks, expected):
        with self.assertRaisesRegex(ValueError, expected):
            chosen(environment, task, num_tasks)


if __name__ == "__main__":
    absltest.main()
