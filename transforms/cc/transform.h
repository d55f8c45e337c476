// Applies graph transforms, after checks of their arguments.

#ifndef TRANSFORMS_CC_TRANSFORM_H_
#define TRANSFORMS_CC_TRANSFORM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Adds this project's transforms to TensorFlow's registry.
void RegisterTransforms();

// Reads transforms in the syntax of TensorFlow's tool: `NAME(PARAMETER=VALUE, …) NAME …`. Returns
// InvalidArgument for text that does not have that form, a missing ")", and unknown names.
absl::StatusOr<tensorflow::graph_transforms::TransformParameters> ParseTransforms(
    const std::string& text);

// Applies transforms one after another. TensorFlow can import the result, unless it has ops that
// TensorFlow does not know.
//
// Args:
//   graph: changed in place.
//   inputs, outputs: names of tensors, NODE or NODE:INDEX. There must be an output.
//   transforms: names with their parameters.
//   fold_fake_quant: whether fold_constants behaves as in TensorFlow: it computes fake-quant nodes,
//     whose ranges are lost, and does not fold constants of more than 10 MiB. Otherwise it keeps
//     fake-quant nodes and folds constants of any size.
//
// Returns InvalidArgument for an argument that is not valid, and if the result cannot be imported;
// other errors from the transforms.
absl::Status Transform(tensorflow::GraphDef* graph, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const tensorflow::graph_transforms::TransformParameters& transforms,
                       bool fold_fake_quant);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_TRANSFORM_H_
