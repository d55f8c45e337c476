// Checks of graphs, before TensorFlow's transforms get them.
//
// Transforms assume that names are unique, that inputs exist and that tensors have the size of
// their shapes. Given another graph, they silently return a wrong result or end the process.

#ifndef TRANSFORMS_CC_GRAPH_CHECK_H_
#define TRANSFORMS_CC_GRAPH_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Checks names, inputs, constants, shapes and functions, and that there are no cycles. Ops may be
// unknown, and nodes need not match the declaration of their op.
absl::Status CheckStructure(const tensorflow::GraphDef& graph);

// Checks that each node of a known op matches the op's declaration. Transforms that evaluate nodes
// or look for patterns of nodes rely on this.
absl::Status CheckOps(const tensorflow::GraphDef& graph);

// Checks that the graph, which passes CheckStructure, has each of the tensors.
//
// Args:
//   names: names of tensors, "NODE" or "NODE:INDEX".
//   what: what the tensors are, for the message: "input" or "output".
absl::Status CheckTensors(const tensorflow::GraphDef& graph, const std::vector<std::string>& names,
                          absl::string_view what);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_GRAPH_CHECK_H_
