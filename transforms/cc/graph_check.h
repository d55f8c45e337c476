// Whether a graph is one that TensorFlow's transforms can be trusted with.
//
// They take a graph's word for much: that its names are unique, that edges lead somewhere, that a
// tensor is as large as its shape says. Where it is not so they pass over it in silence, or end the
// process.

#ifndef TRANSFORMS_CC_GRAPH_CHECK_H_
#define TRANSFORMS_CC_GRAPH_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace imprinting {

// Of a constant. The serialised graph, which holds it, cannot be larger either.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 31;

// A graph's nodes by their names.
using NodesByName = absl::flat_hash_map<absl::string_view, const tensorflow::NodeDef*>;

// Expects a graph that passes CheckStructure.
NodesByName IndexNodes(const tensorflow::GraphDef& graph);

// The name of the node that an input or a tensor's name means: "y" for "y", "y:1" and "^y".
absl::string_view NodeName(absl::string_view input);

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

// The nodes that the outputs need, themselves included, data and control inputs followed.
NodesByName Needed(const tensorflow::GraphDef& graph, const std::vector<std::string>& outputs);

// Adds the names of what a node may call: its op, which may be a function's name, and the functions
// in its attributes.
void AddCalled(const tensorflow::NodeDef& node, std::vector<std::string>* names);

// A few of the names, for messages: "a, b, c and 5 more".
std::string Some(std::vector<std::string> names);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_GRAPH_CHECK_H_
