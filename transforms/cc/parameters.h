// Checks of the parameters of graph transforms.

#ifndef TRANSFORMS_CC_PARAMETERS_H_
#define TRANSFORMS_CC_PARAMETERS_H_

#include <string>

#include "absl/status/status.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Returns InvalidArgument for an unknown transform or parameter, and for values that TensorFlow's
// transforms accept without a check but cannot use.
absl::Status CheckTransform(
    const std::string& name,
    const tensorflow::graph_transforms::TransformFuncParameters& parameters);

// Whether the transform reads a file whose path is a parameter.
bool ReadsFiles(const std::string& transform);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_PARAMETERS_H_
