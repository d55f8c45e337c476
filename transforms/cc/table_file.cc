#include "transforms/cc/table_file.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensorflow/core/lib/io/iterator.h"
#include "tensorflow/core/lib/io/table.h"
#include "tensorflow/core/lib/io/table_options.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/file_system.h"
#include "transforms/cc/status.h"

namespace imprinting {

absl::Status FileError(const std::string& path, const absl::Status& status) {
  if (absl::IsPermissionDenied(status) || absl::IsNotFound(status)) return status;
  return Damaged(path, status.message());
}

absl::StatusOr<Rows> ReadTable(const std::string& path) {
  std::unique_ptr<tensorflow::RandomAccessFile> file;
  TF_RETURN_IF_ERROR(tensorflow::Env::Default()->NewRandomAccessFile(path, &file));
  uint64_t size = 0;
  TF_RETURN_IF_ERROR(tensorflow::Env::Default()->GetFileSize(path, &size));
  tensorflow::table::Table* opened = nullptr;
  if (absl::Status status = tensorflow::table::Table::Open({}, file.get(), size, &opened);
      !status.ok()) {
    return FileError(path, status);
  }
  const std::unique_ptr<tensorflow::table::Table> table(opened);
  const std::unique_ptr<tensorflow::table::Iterator> row(table->NewIterator());
  Rows rows;
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    rows.emplace_back(row->key(), row->value());
  }
  if (!row->status().ok()) return FileError(path, row->status());
  return rows;
}

}  // namespace imprinting
