#include "transforms/cc/attribute_check.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/map.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/tensor_shape.pb.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/framework/types.pb.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::AttrValue;

// The most elements of a tensor of strings that does not list as many strings. It takes no space in
// a file, but does in memory.
constexpr int64_t kMaxEmptyElements = 1 << 20;

absl::Status CheckTensor(const tensorflow::TensorProto& tensor, absl::string_view where) {
  const tensorflow::DataType type = tensor.dtype();
  if (!tensorflow::DataType_IsValid(type) || type == tensorflow::DT_INVALID ||
      tensorflow::IsRefType(type)) {
    return Invalid("expected a tensor of a known type in ", where, ", got type number ",
                   static_cast<int>(type));
  }
  if (!tensorflow::TensorShape::IsValid(tensor.tensor_shape())) {
    return Invalid("expected a tensor of a valid shape in ", where, ", got ",
                   tensorflow::TensorShape::DebugString(tensor.tensor_shape()));
  }
  const int64_t count = tensorflow::TensorShape(tensor.tensor_shape()).num_elements();
  const int64_t size = std::max(tensorflow::DataTypeSize(type), 1);
  if (count > kMaxTensorBytes / size) {
    return Invalid("expected a tensor of at most ", kMaxTensorBytes, " bytes in ", where, ", got ",
                   tensorflow::TensorShape::DebugString(tensor.tensor_shape()), " of ",
                   tensorflow::DataTypeString(type));
  }
  if (tensorflow::DataTypeSize(type) == 0) {
    if (count > std::max<int64_t>(kMaxEmptyElements, tensor.string_val_size())) {
      return Invalid("expected at most ", kMaxEmptyElements, " elements in ", where, ", got ",
                     tensorflow::TensorShape::DebugString(tensor.tensor_shape()), " of ",
                     tensorflow::DataTypeString(type));
    }
    // The contents of strings and other types without a fixed size can only be checked by reading.
    tensorflow::Tensor read;
    if (!read.FromProto(tensor)) {
      return Invalid("expected contents of type ", tensorflow::DataTypeString(type), " in ", where,
                     ", got contents that cannot be read as that type");
    }
    return absl::OkStatus();
  }
  const int64_t bytes = static_cast<int64_t>(tensor.tensor_content().size());
  if (bytes != 0 && bytes != count * size) {
    return Invalid("expected ", count * size, " bytes in ", where, ", for a tensor of shape ",
                   tensorflow::TensorShape::DebugString(tensor.tensor_shape()), " and type ",
                   tensorflow::DataTypeString(type), ", got ", bytes);
  }
  return absl::OkStatus();
}

absl::Status CheckShape(const tensorflow::TensorShapeProto& shape, absl::string_view where) {
  if (tensorflow::PartialTensorShape::IsValid(shape)) return absl::OkStatus();
  return Invalid("expected a valid shape in ", where, ", got ",
                 tensorflow::PartialTensorShape::DebugString(shape));
}

absl::Status CheckAttr(const AttrValue& value, absl::string_view where);

absl::Status CheckFunction(const tensorflow::NameAttrList& function, absl::string_view where) {
  for (const auto& [name, inner] : function.attr()) {
    TF_RETURN_IF_ERROR(CheckAttr(inner, where));
  }
  return absl::OkStatus();
}

absl::Status CheckAttr(const AttrValue& value, absl::string_view where) {
  if (value.has_tensor()) return CheckTensor(value.tensor(), where);
  if (value.has_shape()) return CheckShape(value.shape(), where);
  if (value.has_func()) {
    TF_RETURN_IF_ERROR(CheckFunction(value.func(), where));
  }
  for (const auto& function : value.list().func()) {
    TF_RETURN_IF_ERROR(CheckFunction(function, where));
  }
  for (const auto& tensor : value.list().tensor()) {
    TF_RETURN_IF_ERROR(CheckTensor(tensor, where));
  }
  for (const auto& shape : value.list().shape()) {
    TF_RETURN_IF_ERROR(CheckShape(shape, where));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsName(absl::string_view name) {
  auto is_first = [](char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_'; };
  auto is_other = [&](char c) {
    return is_first(c) || c == '-' || c == '/' || c == '\\' || c == '>';
  };
  return !name.empty() && is_first(name[0]) && std::all_of(name.begin(), name.end(), is_other);
}

absl::Status CheckAttrs(const std::string& owner,
                        const google::protobuf::Map<std::string, AttrValue>& attrs) {
  for (const auto& [name, value] : attrs) {
    if (!IsName(name)) {
      return Invalid("expected a valid name for an attribute of ", owner, ", got \"",
                     absl::CHexEscape(name), "\"");
    }
    const std::string where = absl::StrCat("attribute ", name, " of ", owner);
    TF_RETURN_IF_ERROR(CheckAttr(value, where));
  }
  return absl::OkStatus();
}

absl::Status CheckAttrs(const tensorflow::NodeDef& node) {
  return CheckAttrs(absl::StrCat("node ", node.name()), node.attr());
}

}  // namespace imprinting
