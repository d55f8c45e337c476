// Checks the requirements of graph transforms on graphs that the transforms do not check
// themselves.

#ifndef TRANSFORMS_CC_PRECONDITIONS_H_
#define TRANSFORMS_CC_PRECONDITIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Returns InvalidArgument if the transform could crash on the graph, or silently do nothing useful.
absl::Status CheckPreconditions(const tensorflow::GraphDef& graph,
                                const std::vector<std::string>& inputs,
                                const std::vector<std::string>& outputs,
                                const std::string& transform);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_PRECONDITIONS_H_
