// Reads the tables that checkpoints are written in, and makes the errors for damaged files.

#ifndef TRANSFORMS_CC_TABLE_FILE_H_
#define TRANSFORMS_CC_TABLE_FILE_H_

#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace imprinting {

// A DataLoss error: the file is damaged. The parts of the message say how.
template <typename... Parts>
absl::Status Damaged(const std::string& path, const Parts&... parts) {
  return absl::DataLossError(
      absl::StrCat(path, " is damaged, or no checkpoint: ", parts..., "; copy or write it again"));
}

// The error for a file that could not be read: the file system's own, such as PermissionDenied, or
// Damaged.
absl::Status FileError(const std::string& path, const absl::Status& status);

// Calls a function that reads a file. Where a length in a damaged file is the size of a buffer,
// there may be no memory for it: then the result is Damaged.
template <typename Function>
auto Guarded(const std::string& path, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return Damaged(path, "it asks for more memory than there is");
  } catch (const std::length_error&) {
    return Damaged(path, "it asks for more memory than there is");
  }
}

// The rows of a table: keys, in their order, and values.
using Rows = std::vector<std::pair<std::string, std::string>>;

// Reads all of a table, and checks the checksum of each block.
absl::StatusOr<Rows> ReadTable(const std::string& path);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_TABLE_FILE_H_
