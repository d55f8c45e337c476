// Checks whether TensorFlow can import a graph, and corrects references that would prevent it.

#ifndef TRANSFORMS_CC_IMPORT_CHECK_H_
#define TRANSFORMS_CC_IMPORT_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Removes control inputs that refer to nodes which the graph does not have. Also removes such nodes
// from attributes `_class`, which list the nodes whose device a node shares.
void RemoveDangling(tensorflow::GraphDef* graph);

// Updates the names of nodes in attributes `_class` after nodes were renamed.
//
// Args:
//   before: the earlier name of each node, in the order of the graph's nodes.
void FollowRenaming(const std::vector<std::string>& before, tensorflow::GraphDef* graph);

// The ops that TensorFlow does not know and that are not functions of the graph, sorted.
std::vector<std::string> UnknownOps(const tensorflow::GraphDef& graph);

// Checks that TensorFlow can import the graph, by importing it. If the graph has ops that
// TensorFlow does not know, such as those of a library that is not loaded here, only CheckStructure
// is called.
//
// Args:
//   graph: changed during the call, and restored before it returns.
//
// Returns InvalidArgument if the graph cannot be imported.
absl::Status CheckImport(tensorflow::GraphDef* graph);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_IMPORT_CHECK_H_
