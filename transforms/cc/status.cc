#include "transforms/cc/status.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace imprinting {
namespace {

constexpr size_t kNamesShown = 5;

}  // namespace

std::string FirstNames(std::vector<std::string> names) {
  const size_t rest = names.size() > kNamesShown ? names.size() - kNamesShown : 0;
  names.resize(names.size() - rest);
  return absl::StrCat(absl::StrJoin(names, ", "), rest ? absl::StrCat(" and ", rest, " more") : "");
}

}  // namespace imprinting
