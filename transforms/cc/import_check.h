// Whether TensorFlow can import a graph, and putting right what would keep it from that.

#ifndef TRANSFORMS_CC_IMPORT_CHECK_H_
#define TRANSFORMS_CC_IMPORT_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Removes control inputs from nodes that the graph lacks, and from attributes `_class` the nodes
// that it lacks, with which a node was to share its device.
void RemoveDangling(tensorflow::GraphDef* graph);

// Gives the nodes in attributes `_class` the names that they have now.
//
// Args:
//   before: the names that the graph's nodes had, in their order.
void FollowRenaming(const std::vector<std::string>& before, tensorflow::GraphDef* graph);

// The ops that TensorFlow does not know, and the graph has no functions for; sorted.
std::vector<std::string> UnknownOps(const tensorflow::GraphDef& graph);

// Imports the graph, to see whether TensorFlow can. With ops that TensorFlow does not know, as
// libraries of one's own have them, it cannot here: then the graph's structure alone is checked.
//
// Args:
//   graph: is as it was afterwards.
//
// Returns InvalidArgument where it cannot be imported.
absl::Status CheckImport(tensorflow::GraphDef* graph);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_IMPORT_CHECK_H_
