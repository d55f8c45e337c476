#include "transforms/cc/graph_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/node_def_util.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/graph/tensor_id.h"
#include "transforms/cc/attribute_check.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using tensorflow::OpDef;

// The most outputs of a node: more than a network needs, but few enough for TensorFlow to make a
// list of them.
constexpr int64_t kMaxOutputs = 1 << 16;

// The number of outputs of a node; -1 if its op is unknown, or it does not match the declaration.
int64_t CountOutputs(const NodeDef& node) {
  const OpDef* op = FindOp(node.op());
  if (op == nullptr) return -1;
  int64_t count = 0;
  for (const auto& arg : op->output_arg()) {
    const std::string& list = arg.number_attr().empty() ? arg.type_list_attr() : arg.number_attr();
    if (list.empty()) {
      ++count;
      continue;
    }
    const auto found = node.attr().find(list);
    if (found == node.attr().end()) return -1;
    count += arg.number_attr().empty() ? found->second.list().type_size() : found->second.i();
  }
  return count;
}

absl::Status CheckOutputCount(const NodeDef& node) {
  const OpDef* op = FindOp(node.op());
  if (op == nullptr) return absl::OkStatus();
  for (const auto& arg : op->output_arg()) {
    if (arg.number_attr().empty()) continue;
    const auto found = node.attr().find(arg.number_attr());
    if (found == node.attr().end()) continue;
    if (found->second.i() < 0 || found->second.i() > kMaxOutputs) {
      return Invalid("expected attribute ", arg.number_attr(), " of node ", node.name(), " in 0..",
                     kMaxOutputs, ", got ", found->second.i());
    }
  }
  return absl::OkStatus();
}

// Checks the type of a constant's value, which TensorFlow relies on when it computes shapes.
absl::Status CheckConstant(const NodeDef& node) {
  const auto type = node.attr().find("dtype");
  const auto value = node.attr().find("value");
  if (node.op() != "Const" || type == node.attr().end() || value == node.attr().end() ||
      value->second.tensor().dtype() == type->second.type()) {
    return absl::OkStatus();
  }
  return Invalid("expected a value of type ", tensorflow::DataTypeString(type->second.type()),
                 " in node ", node.name(), ", as in its attribute dtype, got ",
                 tensorflow::DataTypeString(value->second.tensor().dtype()));
}

absl::Status CheckNode(const NodeDef& node) {
  TF_RETURN_IF_ERROR(CheckAttrs(node));
  TF_RETURN_IF_ERROR(CheckConstant(node));
  return CheckOutputCount(node);
}

// Checks a graph's functions. TensorFlow would never finish reading one that calls itself.
absl::Status CheckFunctions(const tensorflow::FunctionDefLibrary& library) {
  absl::flat_hash_map<std::string, std::vector<std::string>> calls;
  for (const tensorflow::FunctionDef& function : library.function()) {
    const std::string& name = function.signature().name();
    if (!IsName(name)) {
      return Invalid("expected a valid name for a function, got \"", absl::CHexEscape(name), "\"");
    }
    std::vector<std::string> called;
    for (const NodeDef& node : function.node_def()) AddCalled(node, &called);
    if (!calls.emplace(name, std::move(called)).second) {
      return Invalid("expected functions with different names, got several named ", name);
    }
    TF_RETURN_IF_ERROR(CheckAttrs(name, function.attr()));
    for (const auto& [index, arguments] : function.arg_attr()) {
      TF_RETURN_IF_ERROR(CheckAttrs(name, arguments.attr()));
    }
    for (const NodeDef& node : function.node_def()) {
      TF_RETURN_IF_ERROR(CheckNode(node));
    }
  }
  // Removes functions that call none of the others, until there are none or only recursive ones.
  for (bool changed = true; changed;) {
    changed = false;
    for (auto it = calls.begin(); it != calls.end();) {
      const bool calls_rest = std::any_of(it->second.begin(), it->second.end(),
                                          [&](const auto& name) { return calls.contains(name); });
      changed = changed || !calls_rest;
      if (calls_rest) {
        ++it;
      } else {
        calls.erase(it++);
      }
    }
  }
  if (calls.empty()) return absl::OkStatus();
  return Invalid("expected functions that do not call themselves, got ", calls.begin()->first);
}

absl::Status CheckTensorName(const NodesByName& nodes, absl::string_view name,
                             absl::string_view what) {
  const tensorflow::TensorId id = tensorflow::ParseTensorName(name);
  const auto found = nodes.find(id.first);
  if (found == nodes.end()) {
    return Invalid("expected a tensor of the graph as ", what, ", got \"", absl::CHexEscape(name),
                   "\"; there is no node ", absl::CHexEscape(id.first));
  }
  if (name[0] == '^') return absl::OkStatus();
  // TensorFlow's parser truncates a large index to an int.
  int64_t index = 0;
  const size_t colon = name.find(':');
  if (colon != name.npos && !absl::SimpleAtoi(name.substr(colon + 1), &index)) index = kMaxOutputs;
  const int64_t outputs = std::clamp<int64_t>(CountOutputs(*found->second), -1, kMaxOutputs);
  if (index >= (outputs < 0 ? kMaxOutputs : outputs)) {
    return Invalid("expected a tensor of the graph as ", what, ", got \"", name, "\"; node ",
                   found->first, ", of op ", found->second->op(), ", has ",
                   outputs < 0 ? "fewer" : absl::StrCat(outputs),
                   outputs == 1 ? " output" : " outputs");
  }
  return absl::OkStatus();
}

absl::Status CheckEdges(const GraphDef& graph, const NodesByName& nodes) {
  for (const NodeDef& node : graph.node()) {
    bool control_seen = false;
    for (const std::string& input : node.input()) {
      const bool control = !input.empty() && input[0] == '^';
      if (control_seen && !control) {
        return Invalid("expected the control inputs of node ", node.name(),
                       " after its other inputs, got \"", absl::CHexEscape(input), "\" after one");
      }
      control_seen = control;
      const std::string what = absl::StrCat("input of node ", node.name());
      TF_RETURN_IF_ERROR(CheckTensorName(nodes, input, what));
    }
  }
  return absl::OkStatus();
}

// Sorts by Kahn's algorithm. Nodes that remain are on a cycle, or depend on one.
absl::Status CheckAcyclic(const GraphDef& graph, const NodesByName& nodes) {
  absl::flat_hash_map<const NodeDef*, int> waiting;
  absl::flat_hash_map<const NodeDef*, std::vector<const NodeDef*>> consumers;
  std::vector<const NodeDef*> ready;
  for (const NodeDef& node : graph.node()) {
    int inputs = 0;
    for (const std::string& input : node.input()) {
      const NodeDef* source = nodes.at(NodeName(input));
      // A while loop is a cycle through this op.
      if (source->op() == "NextIteration" || source->op() == "RefNextIteration") continue;
      consumers[source].push_back(&node);
      ++inputs;
    }
    waiting[&node] = inputs;
    if (inputs == 0) ready.push_back(&node);
  }
  int sorted = 0;
  while (!ready.empty()) {
    const NodeDef* node = ready.back();
    ready.pop_back();
    ++sorted;
    for (const NodeDef* consumer : consumers[node]) {
      if (--waiting[consumer] == 0) ready.push_back(consumer);
    }
  }
  if (sorted == graph.node_size()) return absl::OkStatus();
  for (const NodeDef& node : graph.node()) {
    if (waiting[&node] > 0) {
      return Invalid("expected a graph without cycles, got one in which node ", node.name(),
                     " is on a cycle or depends on one");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckStructure(const GraphDef& graph) {
  NodesByName nodes;
  for (const NodeDef& node : graph.node()) {
    if (!IsName(node.name())) {
      return Invalid("expected a valid name for a node, got \"", absl::CHexEscape(node.name()),
                     "\"");
    }
    if (!IsName(node.op())) {
      return Invalid("expected a valid op for node ", node.name(), ", got \"",
                     absl::CHexEscape(node.op()), "\"");
    }
    if (!nodes.emplace(node.name(), &node).second) {
      return Invalid("expected nodes with different names, got several named ", node.name());
    }
    TF_RETURN_IF_ERROR(CheckNode(node));
  }
  TF_RETURN_IF_ERROR(CheckFunctions(graph.library()));
  TF_RETURN_IF_ERROR(CheckEdges(graph, nodes));
  return CheckAcyclic(graph, nodes);
}

absl::Status CheckOps(const GraphDef& graph) {
  for (const NodeDef& node : graph.node()) {
    const OpDef* op = FindOp(node.op());
    if (op == nullptr) continue;
    absl::Status status;
    if (node.attr_size() < op->attr_size()) {
      NodeDef whole = node;
      tensorflow::AddDefaultsToNodeDef(*op, &whole);
      status = tensorflow::ValidateNodeDef(whole, *op);
    } else {
      status = tensorflow::ValidateNodeDef(node, *op);
    }
    if (!status.ok()) {
      return Invalid("expected node ", node.name(), " to match the declaration of its op, ",
                     node.op(), ", got one that does not: ", status.message());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const GraphDef& graph, const std::vector<std::string>& names,
                          absl::string_view what) {
  const NodesByName nodes = IndexNodes(graph);
  for (const std::string& name : names) {
    if (name.empty() || name[0] == '^') {
      return Invalid("expected the name of an ", what, ", got \"", absl::CHexEscape(name), "\"");
    }
    TF_RETURN_IF_ERROR(CheckTensorName(nodes, name, what));
  }
  return absl::OkStatus();
}

}  // namespace imprinting
