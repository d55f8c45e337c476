#include "transforms/cc/parameters.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "transforms/cc/registry.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::graph_transforms::TransformFuncParameters;

// The parameters that each transform reads. TensorFlow silently ignores others.
const std::map<std::string, std::set<std::string>>& KnownParameters() {
  static const auto& known = *new std::map<std::string, std::set<std::string>>{
      {"fold_constants",
       {"clear_output_shapes", "exclude_node", "exclude_op", "max_constant_size_in_bytes"}},
      {"freeze_requantization_ranges", {"max_percentile", "min_max_log_file", "min_percentile"}},
      {"insert_logging",
       {"first_n", "message", "op", "prefix", "show_name", "show_op", "summarize"}},
      {"quantize_nodes", {"fallback_max", "fallback_min", "input_max", "input_min"}},
      {"quantize_placeholders", {"input_max", "input_min"}},
      {"quantize_weights", {"minimum_size"}},
      {"remove_attribute", {"attribute_name", "op_name"}},
      {"remove_nodes", {"max_inputs", "op"}},
      {"rename_attribute", {"new_attribute_name", "old_attribute_name", "op_name"}},
      {"rename_node", {"new_node_name", "old_node_name"}},
      {"rename_op", {"new_op_name", "old_op_name"}},
      {"round_weights", {"num_steps"}},
      {"set_device", {"device", "if_default"}},
      {"sparsify_gather", {"group_init_node", "input_checkpoint"}},
      {"strip_unused_nodes", {"name", "shape", "shape_for_name", "type", "type_for_name"}},
  };
  return known;
}

// A parameter of every transform: whether to continue without the transform if it fails.
constexpr char kIgnoreErrors[] = "ignore_errors";

// The range of an integer parameter for which TensorFlow accepts any integer.
struct Limits {
  const char* transform;
  const char* parameter;
  int64_t least;
  int64_t most;
};
constexpr Limits kLimits[] = {
    {"freeze_requantization_ranges", "max_percentile", 0, 100},
    {"freeze_requantization_ranges", "min_percentile", 0, 100},
    {"round_weights", "num_steps", 2, INT32_MAX},
};

// A placeholder's shape, such as "1,224,224,3".
absl::Status CheckShapeText(const std::string& parameter, const std::string& text) {
  std::vector<int64_t> sizes;
  for (const auto part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    int64_t size = -1;
    if (!absl::SimpleAtoi(part, &size) || size < 0) sizes.push_back(-1);
    sizes.push_back(size);
  }
  tensorflow::TensorShape shape;
  if (tensorflow::TensorShape::BuildTensorShape(sizes, &shape).ok()) return absl::OkStatus();
  return Invalid("expected ", parameter,
                 " of strip_unused_nodes to be sizes of 0 or more, such as \"1,224,224,3\", got \"",
                 absl::CHexEscape(text), "\"");
}

absl::Status CheckValues(const std::string& name, const TransformFuncParameters& parameters) {
  for (const auto& [parameter, values] : parameters) {
    for (const std::string& value : values) {
      if (name == "strip_unused_nodes" && (parameter == "shape" || parameter == "shape_for_name")) {
        TF_RETURN_IF_ERROR(CheckShapeText(parameter, value));
      }
      for (const Limits& limits : kLimits) {
        if (name != limits.transform || parameter != limits.parameter) continue;
        int64_t number = 0;
        if (!absl::SimpleAtoi(value, &number) || number < limits.least || number > limits.most) {
          return Invalid("expected ", parameter, " of ", name, " in ", limits.least, "..",
                         limits.most, ", got \"", absl::CHexEscape(value), "\"");
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool ReadsFiles(const std::string& transform) {
  return transform == "freeze_requantization_ranges" || transform == "sparsify_gather";
}

absl::Status CheckTransform(const std::string& name, const TransformFuncParameters& parameters) {
  const auto& registry = *tensorflow::graph_transforms::GetTransformRegistry();
  if (registry.count(name) == 0) {
    return Invalid("expected the name of a transform, got \"", absl::CHexEscape(name),
                   "\"; there are ", absl::StrJoin(TransformNames(), ", "));
  }
  const auto known = KnownParameters().find(name);
  for (const auto& [parameter, values] : parameters) {
    if (parameter == kIgnoreErrors) continue;
    if (known == KnownParameters().end()) {
      return Invalid("expected a parameter of ", name, ", got \"", absl::CHexEscape(parameter),
                     "\"; there is only ", kIgnoreErrors);
    }
    if (known->second.count(parameter) == 0) {
      return Invalid("expected a parameter of ", name, ", got \"", absl::CHexEscape(parameter),
                     "\"; there are ", absl::StrJoin(known->second, ", "), " and ", kIgnoreErrors);
    }
  }
  return CheckValues(name, parameters);
}

}  // namespace imprinting
