// The nodes of a graph: by name, what needs which, which are variables.

#ifndef TRANSFORMS_CC_NODES_H_
#define TRANSFORMS_CC_NODES_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"

namespace imprinting {

// A graph's nodes by their names.
using NodesByName = absl::flat_hash_map<absl::string_view, const tensorflow::NodeDef*>;

// Expects a graph that passes CheckStructure.
NodesByName IndexNodes(const tensorflow::GraphDef& graph);

// The name of the node that an input or a tensor's name means: "y" for "y", "y:1" and "^y".
absl::string_view NodeName(absl::string_view input);

// The nodes that the outputs need, themselves included, data and control inputs followed.
NodesByName Needed(const tensorflow::GraphDef& graph, const std::vector<std::string>& outputs);

// Adds the names of what a node may call: its op, which may be a function's name, and the functions
// in its attributes.
void AddCalled(const tensorflow::NodeDef& node, std::vector<std::string>* names);

// How TensorFlow declares an op; null where it does not know it.
const tensorflow::OpDef* FindOp(const std::string& op);

// Whether the op's nodes are variables.
bool IsVariable(absl::string_view op);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_NODES_H_
