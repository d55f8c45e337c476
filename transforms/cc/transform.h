// TensorFlow's graph transforms, behind checks of what they are given.

#ifndef TRANSFORMS_CC_TRANSFORM_H_
#define TRANSFORMS_CC_TRANSFORM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Puts the transforms of this project into TensorFlow's registry.
void RegisterTransforms();

// Reads transforms as TensorFlow's tool writes them: `NAME(PARAMETER=VALUE, …) NAME …`. Returns
// InvalidArgument for what is not of that form, is not closed, or names no transform.
absl::StatusOr<tensorflow::graph_transforms::TransformParameters> ParseTransforms(
    const std::string& text);

// Applies transforms in turn. TensorFlow can import the result, unless it holds ops that TensorFlow
// does not know.
//
// Args:
//   graph: is changed in place.
//   inputs, outputs: names of tensors, NODE or NODE:INDEX. No output is an error.
//   transforms: names with their parameters. Unknown ones of either are errors.
//   fold_fake_quant: whether fold_constants computes fake-quant nodes, too, and their ranges are
//     lost, as it does in TensorFlow. Else it leaves them, and folds constants of any size.
//
// Returns InvalidArgument where any of that is not as it should be, a transform says so, or the
// result cannot be imported;
// other codes as transforms return them.
absl::Status Transform(tensorflow::GraphDef* graph, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const tensorflow::graph_transforms::TransformParameters& transforms,
                       bool fold_fake_quant);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_TRANSFORM_H_
