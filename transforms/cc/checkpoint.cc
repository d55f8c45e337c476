#include "transforms/cc/checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/framework/types.pb.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/tstring.h"
#include "tensorflow/core/protobuf/tensor_bundle.pb.h"
#include "tensorflow/core/protobuf/trackable_object_graph.pb.h"
#include "tensorflow/core/util/tensor_bundle/naming.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"
#include "tensorflow/core/util/tensor_slice_reader.h"
#include "transforms/cc/status.h"
#include "transforms/cc/table_file.h"

namespace imprinting {
namespace {

using tensorflow::BundleEntryProto;
using tensorflow::DataType;
using tensorflow::Env;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// The key of the description of a checkpoint by object: which variable has which key.
constexpr char kObjectGraph[] = "_CHECKPOINTABLE_OBJECT_GRAPH";

// Whether the reader can use an entry: it does not check one itself.
bool IsValid(const BundleEntryProto& entry, int shards) {
  if (!TensorShape::IsValid(entry.shape()) || !tensorflow::DataType_IsValid(entry.dtype()) ||
      entry.dtype() == tensorflow::DT_INVALID || tensorflow::IsRefType(entry.dtype()) ||
      entry.offset() < 0 || entry.size() < 0) {
    return false;
  }
  // The entry of a partitioned variable has no data: the entries of its slices have.
  if (!entry.slices().empty()) return true;
  if (entry.shard_id() < 0 || entry.shard_id() >= shards) return false;
  const int64_t element = tensorflow::DataTypeSize(entry.dtype());
  const int64_t count = TensorShape(entry.shape()).num_elements();
  // A string takes at least one byte, for its length.
  if (element == 0) return entry.size() >= count;
  return count <= INT64_MAX / element && entry.size() == count * element;
}

// Format V2: PREFIX.index, a table of entries, and PREFIX.data-…, files of values.
class Bundle : public Checkpoint {
 public:
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& prefix) {
    auto bundle = std::make_unique<Bundle>();
    TF_RETURN_IF_ERROR(bundle->ReadIndex(prefix));
    bundle->reader_ = std::make_unique<tensorflow::BundleReader>(Env::Default(), prefix);
    if (!bundle->reader_->status().ok()) {
      return FileError(bundle->index_, bundle->reader_->status());
    }
    TF_RETURN_IF_ERROR(bundle->ReadObjects());
    return bundle;
  }

  bool Find(const std::string& name, DataType* type, TensorShape* shape) const override {
    const auto entry = entries_.find(Key(name));
    if (entry == entries_.end()) return false;
    *type = entry->second.dtype();
    *shape = TensorShape(entry->second.shape());
    return true;
  }

  absl::StatusOr<Tensor> Read(const std::string& name) override {
    return Guarded(index_, [&]() -> absl::StatusOr<Tensor> {
      const auto& entry = entries_.at(Key(name));
      Tensor value(entry.dtype(), TensorShape(entry.shape()));
      if (absl::Status status = reader_->Lookup(Key(name), &value); !status.ok()) {
        return FileError(index_, absl::DataLossError(absl::StrCat(name, ": ", status.message())));
      }
      return value;
    });
  }

 private:
  // Reads and checks all of the index, which the reader relies on without checking it.
  absl::Status ReadIndex(const std::string& prefix) {
    index_ = tensorflow::MetaFilename(prefix);
    TF_ASSIGN_OR_RETURN(const Rows rows, ReadTable(index_));
    tensorflow::BundleHeaderProto header;
    if (rows.empty() || !rows[0].first.empty() || !header.ParseFromString(rows[0].second)) {
      return Damaged(index_, "it has no header");
    }
    std::vector<uint64_t> sizes;
    for (int shard = 0; shard < header.num_shards(); ++shard) {
      const std::string path = tensorflow::DataFilename(prefix, shard, header.num_shards());
      const absl::Status status = Env::Default()->GetFileSize(path, &sizes.emplace_back());
      if (absl::IsNotFound(status)) {
        return absl::NotFoundError(absl::StrCat("expected the file ", path, ", which belongs to ",
                                                index_,
                                                ", got none; copy all files of the checkpoint"));
      }
      TF_RETURN_IF_ERROR(status);
    }
    for (size_t i = 1; i < rows.size(); ++i) {
      const auto& [key, value] = rows[i];
      BundleEntryProto entry;
      if (!entry.ParseFromString(value) || !IsValid(entry, header.num_shards())) {
        return Damaged(index_, "its entry ", absl::CHexEscape(key), " is not valid");
      }
      if (entry.slices().empty()) {
        const uint64_t size = sizes[entry.shard_id()];
        if (static_cast<uint64_t>(entry.offset()) > size ||
            static_cast<uint64_t>(entry.size()) > size - entry.offset()) {
          return Damaged(tensorflow::DataFilename(prefix, entry.shard_id(), header.num_shards()),
                         "it has ", size, " bytes, too few for ", absl::CHexEscape(key));
        }
      }
      entries_.emplace(key, std::move(entry));
    }
    return absl::OkStatus();
  }

  // Reads which variable has which key, if this is a checkpoint by object.
  absl::Status ReadObjects() {
    if (!entries_.contains(kObjectGraph)) return absl::OkStatus();
    TF_ASSIGN_OR_RETURN(const Tensor read, Read(kObjectGraph));
    tensorflow::TrackableObjectGraph graph;
    if (read.dtype() != tensorflow::DT_STRING || read.dims() != 0 ||
        !graph.ParseFromString(read.scalar<tensorflow::tstring>()())) {
      return Damaged(index_, "its description of objects cannot be read");
    }
    for (const auto& node : graph.nodes()) {
      for (const auto& attribute : node.attributes()) {
        if (!attribute.full_name().empty()) {
          keys_.emplace(attribute.full_name(), attribute.checkpoint_key());
        }
      }
    }
    return absl::OkStatus();
  }

  const std::string& Key(const std::string& name) const {
    const auto found = keys_.find(name);
    return found == keys_.end() ? name : found->second;
  }

  std::string index_;
  absl::flat_hash_map<std::string, BundleEntryProto> entries_;
  absl::flat_hash_map<std::string, std::string> keys_;
  std::unique_ptr<tensorflow::BundleReader> reader_;
};

std::string Escaped(const std::string& path) {
  std::string escaped;
  for (const char c : path) {
    if (absl::StrContains("*?[]\\", c)) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// Format V1: tables that contain the values.
class Tables : public Checkpoint {
 public:
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& pattern,
                                                          const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      // Finds damage, also in values, that the reader does not check for.
      TF_RETURN_IF_ERROR(ReadTable(path).status());
    }
    auto tables = std::make_unique<Tables>();
    tables->pattern_ = pattern;
    // The reader expects a pattern, in which a bracket in a folder's name has another meaning.
    tables->reader_ = std::make_unique<tensorflow::checkpoint::TensorSliceReader>(
        paths.size() == 1 ? Escaped(paths[0]) : pattern);
    if (!tables->reader_->status().ok()) return FileError(pattern, tables->reader_->status());
    tables->types_ = tables->reader_->GetVariableToDataTypeMap();
    if (!tables->reader_->status().ok()) return FileError(pattern, tables->reader_->status());
    tables->shapes_ = tables->reader_->GetVariableToShapeMap();
    return tables;
  }

  bool Find(const std::string& name, DataType* type, TensorShape* shape) const override {
    const auto found = types_.find(name);
    if (found == types_.end()) return false;
    *type = found->second;
    *shape = shapes_.at(name);
    return true;
  }

  absl::StatusOr<Tensor> Read(const std::string& name) override {
    return Guarded(pattern_, [&]() -> absl::StatusOr<Tensor> {
      std::unique_ptr<Tensor> value;
      if (absl::Status status = reader_->GetTensor(name, &value); !status.ok()) {
        return Damaged(pattern_, name, ": ", status.message());
      }
      return *value;
    });
  }

 private:
  std::string pattern_;
  std::unique_ptr<tensorflow::checkpoint::TensorSliceReader> reader_;
  tensorflow::checkpoint::TensorSliceReader::VarToDataTypeMap types_;
  tensorflow::checkpoint::TensorSliceReader::VarToShapeMap shapes_;
};

// Whether a text has the form 00000-of-00001, as at the end of the names of files of values.
bool IsShard(absl::string_view text) {
  return text.size() == 14 && text.substr(5, 4) == "-of-" &&
         absl::c_all_of(text.substr(0, 5), absl::ascii_isdigit) &&
         absl::c_all_of(text.substr(9), absl::ascii_isdigit);
}

// The prefix for a path: for one of the files of a checkpoint, what their names have in common.
std::string Prefix(absl::string_view path) {
  for (const absl::string_view ending : {".index", ".meta"}) {
    if (absl::ConsumeSuffix(&path, ending)) return std::string(path);
  }
  const size_t data = path.rfind(".data-");
  if (data != path.npos && IsShard(path.substr(data + 6))) path = path.substr(0, data);
  return std::string(path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& path) {
  if (absl::StrContains(path, '\0')) {
    return Invalid("expected the path of a checkpoint, got one that contains a NUL character");
  }
  Env* env = Env::Default();
  const auto is_file = [&](const std::string& path) {
    return env->FileExists(path).ok() && !env->IsDirectory(path).ok();
  };
  const std::string stripped = Prefix(path);
  const bool is_part = is_file(tensorflow::MetaFilename(stripped)) || is_file(stripped);
  const std::string& prefix = is_part ? stripped : path;
  if (is_file(tensorflow::MetaFilename(prefix))) {
    return Guarded(tensorflow::MetaFilename(prefix), [&] { return Bundle::Open(prefix); });
  }
  if (is_file(prefix)) {
    return Guarded(prefix, [&] { return Tables::Open(prefix, {prefix}); });
  }
  // Two strings, because "??-" is a trigraph.
  const std::string pattern = absl::StrCat(prefix, "-?????", "-of-?????");
  std::vector<std::string> shards;
  if (env->GetMatchingPaths(pattern, &shards).ok() && !shards.empty()) {
    return Guarded(pattern, [&] { return Tables::Open(pattern, shards); });
  }
  return absl::NotFoundError(absl::StrCat("expected a checkpoint, got ", prefix,
                                          ": there is no file ", tensorflow::MetaFilename(prefix),
                                          " (format V2) or ", prefix, " (format V1)"));
}

}  // namespace imprinting
