// Freezing: turns a graph's variables into constants, with their values from a checkpoint.

#ifndef TRANSFORMS_CC_FREEZE_H_
#define TRANSFORMS_CC_FREEZE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Returns the nodes that the outputs depend on, in the graph's order, with constants in place of
// variables. Devices are cleared, because they are those of training. TensorFlow can import the
// result, unless it has ops that TensorFlow does not know.
//
// Args:
//   checkpoint: the checkpoint's prefix, or one of its files.
//   outputs: names of tensors, NODE or NODE:INDEX.
//
// Returns InvalidArgument if the graph is not valid or lacks an output, if the outputs depend on an
// operation that changes variables, or if they depend on no variable; NotFound, PermissionDenied
// and DataLoss as described at Checkpoint::Open; FailedPrecondition if the checkpoint does not have
// a variable, or has it with another shape or type.
absl::StatusOr<tensorflow::GraphDef> Freeze(const tensorflow::GraphDef& graph,
                                            const std::string& checkpoint,
                                            const std::vector<std::string>& outputs);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_FREEZE_H_
