// Whether the attributes of nodes and functions hold what they say.

#ifndef TRANSFORMS_CC_ATTRIBUTE_CHECK_H_
#define TRANSFORMS_CC_ATTRIBUTE_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/map.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace imprinting {

// Of a constant. The serialised graph, which holds it, cannot be larger either.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 31;

// Whether it is a name as nodes, ops, functions and attributes have them.
bool IsName(absl::string_view name);

// Checks names, tensors and shapes of the attributes of a node or a function.
absl::Status CheckAttrs(const std::string& owner,
                        const google::protobuf::Map<std::string, tensorflow::AttrValue>& attrs);

absl::Status CheckAttrs(const tensorflow::NodeDef& node);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_ATTRIBUTE_CHECK_H_
