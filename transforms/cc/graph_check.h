// Whether a graph is one that TensorFlow's transforms can be trusted with.
//
// They take a graph's word for much: that its names are unique, that edges lead somewhere, that a
// tensor is as large as its shape says. Where it is not so they pass over it in silence, or end the
// process.

#ifndef TRANSFORMS_CC_GRAPH_CHECK_H_
#define TRANSFORMS_CC_GRAPH_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Checks names, edges, constants and shapes. Ops may be unknown, and need not be as declared.
absl::Status CheckStructure(const tensorflow::GraphDef& graph);

// Checks besides that each node of a known op is as that op is declared, which transforms rely on
// that evaluate nodes or look for patterns of them.
absl::Status CheckOps(const tensorflow::GraphDef& graph);

// Checks that the graph has each of the tensors. Expects a graph that passes CheckStructure.
//
// Args:
//   names: of tensors, "NODE" or "NODE:INDEX".
//   what: what these are, for the message: "input" or "output".
absl::Status CheckTensors(const tensorflow::GraphDef& graph, const std::vector<std::string>& names,
                          absl::string_view what);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_GRAPH_CHECK_H_
