// Whether the attributes of nodes and functions hold what they say.

#ifndef TRANSFORMS_CC_ATTRIBUTE_CHECK_H_
#define TRANSFORMS_CC_ATTRIBUTE_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/map.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace imprinting {

// An InvalidArgument error.
template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Whether it is a name as nodes, ops, functions and attributes have them.
bool IsName(absl::string_view name);

// Checks names, tensors and shapes of the attributes of a node or a function.
absl::Status CheckAttrs(const std::string& owner,
                        const google::protobuf::Map<std::string, tensorflow::AttrValue>& attrs);

absl::Status CheckAttrs(const tensorflow::NodeDef& node);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_ATTRIBUTE_CHECK_H_
