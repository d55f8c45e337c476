// Functions for the nodes of a graph.

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

// The nodes of a graph by their names.
using NodesByName = absl::flat_hash_map<absl::string_view, const tensorflow::NodeDef*>;

// Expects a graph that passes CheckStructure.
NodesByName IndexNodes(const tensorflow::GraphDef& graph);

// The name of the node in the name of an input or a tensor: "y" for "y", "y:1" and "^y".
absl::string_view NodeName(absl::string_view input);

// The outputs' nodes and all nodes that these depend on, by data or control inputs. Expects a graph
// that passes CheckStructure and has the outputs.
NodesByName Needed(const tensorflow::GraphDef& graph, const std::vector<std::string>& outputs);

// Adds the names of all functions that a node may call: its op, which can be the name of a
// function, and the functions in its attributes.
void AddCalled(const tensorflow::NodeDef& node, std::vector<std::string>* names);

// TensorFlow's declaration of an op; null if TensorFlow does not know the op.
const tensorflow::OpDef* FindOp(const std::string& op);

// Whether nodes of this op are variables.
bool IsVariable(absl::string_view op);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_NODES_H_
