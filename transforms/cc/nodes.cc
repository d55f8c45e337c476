#include "transforms/cc/nodes.h"

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/graph/tensor_id.h"

namespace imprinting {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

absl::string_view NodeName(absl::string_view input) {
  return tensorflow::ParseTensorName(input).first;
}

NodesByName IndexNodes(const GraphDef& graph) {
  NodesByName nodes;
  for (const NodeDef& node : graph.node()) nodes.emplace(node.name(), &node);
  return nodes;
}

NodesByName Needed(const GraphDef& graph, const std::vector<std::string>& outputs) {
  const NodesByName nodes = IndexNodes(graph);
  NodesByName needed;
  std::vector<absl::string_view> next(outputs.begin(), outputs.end());
  while (!next.empty()) {
    const NodeDef* node = nodes.at(NodeName(next.back()));
    next.pop_back();
    if (!needed.emplace(node->name(), node).second) continue;
    next.insert(next.end(), node->input().begin(), node->input().end());
  }
  return needed;
}

void AddCalled(const NodeDef& node, std::vector<std::string>* names) {
  names->push_back(node.op());
  for (const auto& [name, value] : node.attr()) {
    if (value.has_func()) names->push_back(value.func().name());
    for (const auto& function : value.list().func()) names->push_back(function.name());
  }
}

const tensorflow::OpDef* FindOp(const std::string& op) {
  const tensorflow::OpRegistrationData* data = nullptr;
  return tensorflow::OpRegistry::Global()->LookUp(op, &data).ok() ? &data->op_def : nullptr;
}

bool IsVariable(absl::string_view op) {
  return op == "VariableV2" || op == "Variable" || op == "VarHandleOp";
}

}  // namespace imprinting
