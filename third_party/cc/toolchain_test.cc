// Tests that the toolchain compiles C++17, that exceptions work, and that programs run with the C++
// library of the build, not the host's.

#include <charconv>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

std::optional<int> Parse(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

void Expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

void TestExceptionsCrossFrames() {
  try {
    static_cast<void>(std::string("short").at(99));
  } catch (const std::out_of_range&) {
    return;
  }
  Expect(false, "expected std::out_of_range from the library's at()");
}

void TestLibraries() {
  std::ifstream maps("/proc/self/maps");
  int found = 0;
  for (std::string line; std::getline(maps, line);) {
    for (const char* name : {"libstdc++.so", "libgcc_s.so"}) {
      if (line.find(name) == std::string::npos) continue;
      ++found;
      Expect(line.find("/external/libstdcxx/") != std::string::npos,
             "expected the build's own library, got " + line);
    }
  }
  Expect(found > 0, "expected libstdc++.so among the libraries that are loaded");
}

}  // namespace

int main() {
  try {
    Expect(Parse("1712") == 1712, "expected 1712");
    Expect(!Parse("x"), "expected no number");
    TestExceptionsCrossFrames();
    TestLibraries();
  } catch (const std::exception& error) {
    std::cerr << "toolchain_test: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
