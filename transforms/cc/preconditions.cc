#include "transforms/cc/preconditions.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.pb.h"
#include "transforms/cc/graph_check.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// Transforms that do not depend on the ops of a graph, and can serve to correct them.
const std::set<std::string>& Textual() {
  static const auto& names = *new std::set<std::string>{"add_default_attributes",
                                                        "obfuscate_names",
                                                        "remove_attribute",
                                                        "remove_control_dependencies",
                                                        "remove_device",
                                                        "remove_nodes",
                                                        "rename_attribute",
                                                        "rename_node",
                                                        "rename_op",
                                                        "set_device",
                                                        "strip_unused_nodes"};
  return names;
}

// Transforms that work on constants, and would do nothing to variables.
const std::set<std::string>& OfConstants() {
  static const auto& names =
      *new std::set<std::string>{"fold_batch_norms",     "fold_constants",   "fold_l2_norm",
                                 "fold_old_batch_norms", "quantize_weights", "round_weights"};
  return names;
}

absl::Status CheckFrozen(const GraphDef& graph, const std::vector<std::string>& outputs,
                         const std::string& transform) {
  std::vector<std::string> variables;
  for (const auto& [name, node] : Needed(graph, outputs)) {
    if (IsVariable(node->op())) variables.push_back(std::string(name));
  }
  if (variables.empty()) return absl::OkStatus();
  std::sort(variables.begin(), variables.end());
  return Invalid("expected a frozen graph for ", transform, ", got one with variables (",
                 FirstNames(variables), "); freeze it first");
}

// The number of strings in an input that is a constant; -1 if it is not a constant of strings.
int64_t CountStrings(const NodesByName& nodes, const NodeDef& node, int input) {
  if (input >= node.input_size()) return -1;
  const NodeDef* constant = nodes.at(NodeName(node.input(input)));
  const auto value = constant->attr().find("value");
  if (value == constant->attr().end() || value->second.tensor().dtype() != tensorflow::DT_STRING) {
    return -1;
  }
  return tensorflow::TensorShape(value->second.tensor().tensor_shape()).num_elements();
}

// Checks for the nodes save/Assign… and save/RestoreV2, with which a tf.train.Saver restores
// variables. sparsify_gather uses them, without a check, to find each variable in the checkpoint.
absl::Status CheckSaver(const GraphDef& graph) {
  const NodesByName nodes = IndexNodes(graph);
  for (const NodeDef& node : graph.node()) {
    const std::vector<std::string> parts = absl::StrSplit(node.name(), '/');
    if (parts.size() == 2 && absl::StartsWith(parts[0], "save") &&
        absl::StartsWith(parts[1], "Assign") && node.input_size() < 2) {
      return Invalid("expected node ", node.name(),
                     " to have at least 2 inputs, as a saver's nodes of that name have, got ",
                     node.input_size());
    }
  }
  for (const NodeDef& variable : graph.node()) {
    if (variable.op() != "Variable" && variable.op() != "VariableV2") continue;
    const NodeDef* restore = nullptr;
    for (const NodeDef& node : graph.node()) {
      if (absl::StartsWith(node.name(), "save") && absl::StrContains(node.name(), "/Assign") &&
          node.input_size() >= 2 && node.input(0) == variable.name()) {
        restore = nodes.at(NodeName(node.input(1)));
        break;
      }
    }
    if (restore == nullptr || restore->op() != "RestoreV2" ||
        CountStrings(nodes, *restore, 1) < 0 ||
        CountStrings(nodes, *restore, 1) != CountStrings(nodes, *restore, 2)) {
      return Invalid("expected a saver's nodes save/Assign… and save/RestoreV2 for variable ",
                     variable.name(),
                     ", with which sparsify_gather finds it in the checkpoint, got none; write the "
                     "graph with its saver, or freeze it first");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPreconditions(const GraphDef& graph, const std::vector<std::string>& inputs,
                                const std::vector<std::string>& outputs,
                                const std::string& transform) {
  TF_RETURN_IF_ERROR(CheckStructure(graph));
  TF_RETURN_IF_ERROR(CheckTensors(graph, inputs, "input"));
  TF_RETURN_IF_ERROR(CheckTensors(graph, outputs, "output"));
  if (Textual().count(transform) == 0) {
    TF_RETURN_IF_ERROR(CheckOps(graph));
  }
  if (OfConstants().count(transform) > 0) {
    TF_RETURN_IF_ERROR(CheckFrozen(graph, outputs, transform));
  }
  return transform == "sparsify_gather" ? CheckSaver(graph) : absl::OkStatus();
}

}  // namespace imprinting
