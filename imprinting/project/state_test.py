import json

from absl.testing import absltest, parameterized

from imprinting.project import state as states
from imprinting.project.state import ConflictError, Fit, PhotoClass, State


def two() -> State:
    return State((PhotoClass(1, "mug", (1, 2)), PhotoClass(2, "cup", (2, 3))), next_id=3)


class StateTest(parameterized.TestCase):
    def test_classes_have_numbers_of_their_own(self):
        state, first = State().add_class("mug")
        state, second = state.remove_class(first).add_class("cup")
        self.assertEqual((first, second), (1, 2))
        self.assertEqual(state.add_class(" cup "), (state, 2))

    def test_rename(self):
        state = two().rename(1, "glass")
        self.assertEqual([each.name for each in state.classes], ["glass", "cup"])
        self.assertEqual(state.rename(1, "glass"), state)
        with self.assertRaises(ConflictError) as caught:
            state.rename(1, "cup")
        self.assertEqual(caught.exception.class_id, 2)

    def test_merge_keeps_each_photo_once(self):
        self.assertEqual(two().merge(2, 1).classes, (PhotoClass(1, "mug", (1, 2, 3)),))
        with self.assertRaisesRegex(ValueError, "two classes to merge"):
            two().merge(1, 1)

    def test_photos(self):
        state = two()
        self.assertEqual(state.add_photo(1, 2), state)
        self.assertEqual(state.add_photo(1, 4).of(1).photos, (1, 2, 4))
        self.assertEqual(state.remove_photo(1, 1).of(1).photos, (2,))
        self.assertEqual(state.move_photo(1, 1, 2).of(2).photos, (2, 3, 1))
        with self.assertRaisesRegex(ValueError, "a photo of mug, got number 3"):
            state.remove_photo(1, 3)
        with self.assertRaisesRegex(ValueError, "got number 9, which was removed"):
            state.add_photo(9, 1)

    def test_a_fit_applies_to_one_position_of_the_switch(self):
        fit = Fit("", True, (1,), 0.5, 0.6, "fitted", 0.1)
        self.assertIs(State(fit=fit).active_fit, fit)
        self.assertIsNone(State(fit=fit, keep_classes=False).active_fit)

    def test_limits(self):
        many = tuple(PhotoClass(i, str(i)) for i in range(states.MOST_CLASSES))
        with self.assertRaisesRegex(ValueError, "at most 1,000 classes"):
            State(many, next_id=states.MOST_CLASSES).add_class("mug")
        full = State((PhotoClass(1, "mug", tuple(range(states.MOST_PHOTOS))),))
        with self.assertRaisesRegex(ValueError, "at most 20,000 photos"):
            full.add_photo(1, states.MOST_PHOTOS)

    @parameterized.parameters(
        *("", "  ", "a\nb", "a\0", "x" * 201, "unknown", "Unknown", "a\uffff", "a\ufffe"),
        *("\u200b", "a\u202eb", "\u2066a", "\ud800"),
    )
    def test_bad_names(self, name):
        with self.assertRaises(ValueError):
            State().add_class(name)

    @parameterized.parameters(
        "<b>mug</b>", "我的杯子", "a/../b", "x" * 200, "con", "'; --", "👩\u200d🔬"
    )
    def test_any_line_is_a_name(self, name):
        state, class_id = State().add_class(name)
        self.assertEqual(states.from_json(state.to_json()).of(class_id).name, name)

    def test_as_text(self):
        fit = Fit("ab", False, (1, 2), None, 0.6, "fitted", 0.1)
        state = State((PhotoClass(4, "mug", (1, 2)),), "cd", "x.tflite", False, 0.5, fit, 7)
        self.assertEqual(states.from_json(state.to_json()), state)

    @parameterized.parameters(
        ("classes", None),
        ("classes", [{"id": 1, "name": "mug"}]),
        ("classes", [{"id": 1, "name": 5, "photos": []}]),
        ("classes", [{"id": 1, "name": "a", "photos": ["x"]}]),
        ("classes", [{"id": 1, "name": "a", "photos": []}, {"id": 1, "name": "b", "photos": []}]),
        ("classes", [{"id": 1, "name": "a", "photos": []}, {"id": 2, "name": "a", "photos": []}]),
        ("threshold", 2),
        ("threshold", "0.5"),
        ("fit", {}),
        ("next_id", None),
        ("next_id", 10**30),
        ("next_id", float("inf")),
        ("base_name", "x" * 10_001),
        ("base_name", "a\0"),
        ("base", 5),
        ("classes", [{"id": float("inf"), "name": "a", "photos": []}]),
        ("classes", [{"id": -1, "name": "a", "photos": []}]),
        ("classes", [{"id": 1, "name": "a", "photos": [2**53]}]),
    )
    def test_bad_text(self, name, value):
        found = json.loads(two().to_json()) | {name: value}
        with self.assertRaisesRegex(ValueError, "expected the description of a project"):
            states.from_json(json.dumps(found))

    def test_other_text(self):
        for text in ("", "[]", "{}", "nonsense", "[" * 100_000):
            with self.assertRaisesRegex(ValueError, "expected the description of a project"):
                states.from_json(text)


if __name__ == "__main__":
    absltest.main()
