// Freezing: a graph's variables become constants, with the values of a checkpoint.

#ifndef TRANSFORMS_CC_FREEZE_H_
#define TRANSFORMS_CC_FREEZE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace imprinting {

// Returns the part of the graph that the outputs need, in its order, with constants for variables.
// Devices are cleared: they are those that the graph was trained on. TensorFlow can import it,
// unless it holds ops that TensorFlow does not know.
//
// Args:
//   checkpoint: its prefix, or one of its files.
//   outputs: names of nodes, or of their outputs.
//
// Returns InvalidArgument for a graph that is none, for outputs that it lacks, and where what the
// outputs need holds operations that change variables, or no variable; NotFound, PermissionDenied
// and DataLoss as Checkpoint::Open does; FailedPrecondition where the checkpoint lacks a variable,
// or has it with another shape or type.
absl::StatusOr<tensorflow::GraphDef> Freeze(const tensorflow::GraphDef& graph,
                                            const std::string& checkpoint,
                                            const std::vector<std::string>& outputs);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_FREEZE_H_
