// Reads the tables that checkpoints consist of, and makes the errors for damaged files.

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

// The DataLoss error for a damaged file. The parts of the message say what is wrong with it.
template <typename... Parts>
absl::Status Damaged(const std::string& path, const Parts&... parts) {
  return absl::DataLossError(absl::StrCat("expected a file of a checkpoint, got ", path,
                                          ", which is damaged or something else: ", parts...,
                                          "; copy or write it again"));
}

// The error for a file that could not be read: the file system's own, such as PermissionDenied, or
// Damaged.
absl::Status FileError(const std::string& path, const absl::Status& status);

// Calls a function that reads a file, and returns Damaged if there is not enough memory: a damaged
// file may contain a wrong length, which is used as the size of a buffer.
template <typename Function>
auto Guarded(const std::string& path, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return Damaged(path, "reading it needs more memory than there is");
  } catch (const std::length_error&) {
    return Damaged(path, "reading it needs more memory than there is");
  }
}

// The keys and values of a table, in the order of the keys.
using Rows = std::vector<std::pair<std::string, std::string>>;

// Reads all of a table, and checks the checksum of each block.
absl::StatusOr<Rows> ReadTable(const std::string& path);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_TABLE_FILE_H_
