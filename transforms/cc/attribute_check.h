// Checks of the attributes of nodes and functions.

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

// The size limit of a constant, in bytes: that of the serialised graph which contains it.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 31;

// Whether `name` is valid for a node, op, function or attribute.
bool IsName(absl::string_view name);

// Checks the names of the attributes of a node or a function, and the tensors and shapes in them.
// Returns InvalidArgument for the first that is not valid, such as a tensor whose contents do not
// have the size that its shape and type say.
//
// Args:
//   owner: the node or function, for the message.
absl::Status CheckAttrs(const std::string& owner,
                        const google::protobuf::Map<std::string, tensorflow::AttrValue>& attrs);

absl::Status CheckAttrs(const tensorflow::NodeDef& node);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_ATTRIBUTE_CHECK_H_
