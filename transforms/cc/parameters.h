// The parameters of graph transforms: which there are, and what they may be.

#ifndef TRANSFORMS_CC_PARAMETERS_H_
#define TRANSFORMS_CC_PARAMETERS_H_

#include <string>

#include "absl/status/status.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Returns InvalidArgument for a transform or a parameter that there is not, and for values that
// TensorFlow's transforms take without a look, and make nonsense of.
absl::Status CheckTransform(
    const std::string& name,
    const tensorflow::graph_transforms::TransformFuncParameters& parameters);

// Whether the transform reads a file that a parameter names.
bool ReadsFiles(const std::string& transform);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_PARAMETERS_H_
