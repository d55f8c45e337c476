// TensorFlow's registry of graph transforms. Its library exports these declarations, but the wheel
// does not contain their headers.

#ifndef TRANSFORMS_CC_REGISTRY_H_
#define TRANSFORMS_CC_REGISTRY_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tensorflow::graph_transforms {

// The parameters of a transform, each with its values in the order in which they were given.
using TransformFuncParameters = std::map<std::string, std::vector<std::string>>;

// Names of transforms with their parameters, in the order in which to apply them.
using TransformParameters = std::vector<std::pair<std::string, TransformFuncParameters>>;

struct TransformFuncContext {
  std::vector<std::string> input_names;
  std::vector<std::string> output_names;
  TransformFuncParameters params;
};

using TransformFunc =
    std::function<absl::Status(const GraphDef&, const TransformFuncContext&, GraphDef*)>;

std::map<std::string, TransformFunc>* GetTransformRegistry();

absl::Status ParseTransformParameters(const std::string& transforms, TransformParameters* parsed);

// Reads the parameter ignore_errors, which every transform has.
absl::Status ShouldIgnoreErrors(const TransformFuncParameters& parameters, bool* ignore_errors);

absl::Status IsGraphValid(const GraphDef& graph);

}  // namespace tensorflow::graph_transforms

namespace imprinting {

// The names of all registered transforms, sorted.
std::vector<std::string> TransformNames();

}  // namespace imprinting

#endif  // TRANSFORMS_CC_REGISTRY_H_
