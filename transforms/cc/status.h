// Makes errors, and passes them on.

#ifndef TRANSFORMS_CC_STATUS_H_
#define TRANSFORMS_CC_STATUS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
// For TF_RETURN_IF_ERROR and TF_ASSIGN_OR_RETURN.
#include "tensorflow/core/platform/errors.h"    // IWYU pragma: export
#include "tensorflow/core/platform/statusor.h"  // IWYU pragma: export

namespace imprinting {

// Returns an InvalidArgument error. Its message is the parts, joined as by absl::StrCat.
template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// The first names of a list, for a message: "a, b, c, d, e and 5 more".
std::string FirstNames(std::vector<std::string> names);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_STATUS_H_
