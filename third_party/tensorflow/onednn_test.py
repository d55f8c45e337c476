"""Tests of turning oneDNN on by the processor's instructions."""

from absl.testing import absltest, parameterized

from third_party.tensorflow import onednn


class EnableTest(parameterized.TestCase):
    def variable(self, cpu_info: str, environment: dict[str, str] | None = None) -> str | None:
        environment = environment or {}
        onednn.enable(environment, self.create_tempfile(content=cpu_info).full_path)
        return environment.get(onednn.VARIABLE)

    @parameterized.parameters(
        "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n",
        "flags: avx2",
    )
    def test_with_avx2(self, cpu_info):
        self.assertEqual(self.variable(cpu_info), "1")

    @parameterized.parameters(
        "processor\t: 0\nflags\t\t: fpu sse2 avx avx2x\n",
        "processor\t: 0\nvmx flags\t: avx2\nmodel name\t: avx2\n",
        "Features\t: fp asimd\n",
        "",
    )
    def test_leaves_others_to_tensorflow(self, cpu_info):
        self.assertIsNone(self.variable(cpu_info))

    def test_leaves_the_users_value(self):
        for value in ("0", "1", ""):
            self.assertEqual(self.variable("flags: avx2", {onednn.VARIABLE: value}), value)

    def test_without_the_file(self):
        environment: dict[str, str] = {}
        onednn.enable(environment, self.create_tempdir().full_path + "/none")
        self.assertEmpty(environment)


if __name__ == "__main__":
    absltest.main()
