#include "transforms/cc/freeze.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/framework/types.pb.h"
#include "transforms/cc/attribute_check.h"
#include "transforms/cc/checkpoint.h"
#include "transforms/cc/graph_check.h"
#include "transforms/cc/import_check.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

constexpr char kHandle[] = "VarHandleOp";
constexpr char kReadHandle[] = "ReadVariableOp";

// Whether the input is a reference, with which the node may change a variable.
bool TakesReference(const NodeDef& node, int input) {
  const tensorflow::OpDef* op = FindOp(node.op());
  // Ops with references have no lists, so arguments and inputs have the same indices.
  return op != nullptr && input < op->input_arg_size() && op->input_arg(input).is_ref();
}

// Whether the node changes a variable, makes one that no checkpoint has, or reads a checkpoint.
bool IsOfTraining(const NodeDef& node) {
  if (node.op() == "TemporaryVariable" || node.op() == "Restore" || node.op() == "RestoreV2" ||
      node.op() == "RestoreSlice" || absl::StartsWith(node.op(), "Assign")) {
    return true;
  }
  for (int i = 0; i < node.input_size(); ++i) {
    if (TakesReference(node, i)) return true;
  }
  return false;
}

// The functions that the nodes call, directly or through other functions.
std::vector<const tensorflow::FunctionDef*> Called(const GraphDef& graph,
                                                   const NodesByName& needed) {
  std::vector<const tensorflow::FunctionDef*> called;
  std::vector<std::string> names;
  for (const auto& [name, node] : needed) AddCalled(*node, &names);
  absl::flat_hash_set<std::string> seen;
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& function : graph.library().function()) {
      const std::string& name = function.signature().name();
      if (seen.contains(name) || std::find(names.begin(), names.end(), name) == names.end()) {
        continue;
      }
      seen.insert(name);
      called.push_back(&function);
      for (const NodeDef& node : function.node_def()) AddCalled(node, &names);
      changed = true;
    }
  }
  return called;
}

// Checks that nodes only read variables.
absl::Status CheckConsumers(const GraphDef& graph, const NodesByName& needed) {
  const auto error = [](const auto&... what) {
    return Invalid("expected outputs that only read variables, got outputs that depend on ",
                   what..., "; freeze a graph for inference, such as ./bazelw run export writes");
  };
  for (const auto& [name, node] : needed) {
    for (int i = 0; i < node->input_size(); ++i) {
      if (!node->input(i).empty() && node->input(i)[0] == '^') continue;
      const NodeDef* source = needed.at(NodeName(node->input(i)));
      if (!IsVariable(source->op())) continue;
      const bool reads =
          source->op() == kHandle ? node->op() == kReadHandle : !TakesReference(*node, i);
      if (!reads) {
        return error("node ", name, " (", node->op(), "), which may change variable ",
                     source->name());
      }
    }
    if (IsOfTraining(*node)) return error("node ", name, " (", node->op(), ")");
  }
  for (const tensorflow::FunctionDef* function : Called(graph, needed)) {
    for (const NodeDef& node : function->node_def()) {
      if (!IsVariable(node.op()) && !IsOfTraining(node)) continue;
      return error("function ", function->signature().name(), ", with node ", node.name(), " (",
                   node.op(), ")");
    }
  }
  return absl::OkStatus();
}

// Checks that there are variables to freeze. In a graph that is frozen already there are none, and
// its values would not be those of the checkpoint.
absl::Status CheckVariables(const GraphDef& graph, const NodesByName& needed,
                            const std::vector<std::string>& outputs) {
  std::vector<std::string> elsewhere;
  for (const NodeDef& node : graph.node()) {
    if (!IsVariable(node.op())) continue;
    if (needed.contains(node.name())) return absl::OkStatus();
    elsewhere.push_back(node.name());
  }
  const std::string why =
      elsewhere.empty()
          ? "the graph has no variables, so it is frozen already or needs no checkpoint: give the "
            "graph that export wrote, or use this one as it is"
          : absl::StrCat("the graph has variables that they do not depend on, ",
                         FirstNames(elsewhere), ": check the names of the outputs");
  return Invalid("expected outputs that depend on variables, got outputs that do not (",
                 absl::StrJoin(outputs, ", "), "); ", why);
}

absl::Status Mismatch(const std::string& checkpoint, const std::string& name,
                      absl::string_view what, absl::string_view expected, absl::string_view got) {
  return absl::FailedPreconditionError(absl::StrCat(
      "expected variable ", name, " with ", what, " ", expected, ", as in the graph, got ", got,
      " in ", checkpoint, "; give a checkpoint of this network"));
}

// A variable's value, if it has the type and the shape that the graph declares.
absl::StatusOr<tensorflow::Tensor> Value(const NodeDef& node, const std::string& prefix,
                                         const std::string& name, Checkpoint& checkpoint) {
  tensorflow::DataType type;
  tensorflow::TensorShape shape;
  checkpoint.Find(name, &type, &shape);
  const auto dtype = node.attr().find("dtype");
  if (dtype != node.attr().end() && dtype->second.type() != type) {
    return Mismatch(prefix, name, "type", tensorflow::DataTypeString(dtype->second.type()),
                    tensorflow::DataTypeString(type));
  }
  const auto declared = node.attr().find("shape");
  if (declared != node.attr().end()) {
    const tensorflow::PartialTensorShape expected(declared->second.shape());
    if (!expected.IsCompatibleWith(shape)) {
      return Mismatch(prefix, name, "shape", expected.DebugString(), shape.DebugString());
    }
  }
  if (shape.num_elements() > kMaxTensorBytes / std::max(tensorflow::DataTypeSize(type), 1)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "expected variables of at most ", kMaxTensorBytes, " bytes, to fit in a graph, got ", name,
        " of shape ", shape.DebugString(), " in ", prefix));
  }
  return checkpoint.Read(name);
}

// A variable's name in the checkpoint; empty if the checkpoint does not have the variable.
std::string NameInCheckpoint(const NodeDef& node, const Checkpoint& checkpoint) {
  std::vector<std::string> names = {node.name()};
  const auto shared = node.attr().find("shared_name");
  if (node.op() == kHandle && shared != node.attr().end() && !shared->second.s().empty()) {
    names.insert(names.begin(), shared->second.s());
  }
  tensorflow::DataType type;
  tensorflow::TensorShape shape;
  for (const std::string& name : names) {
    if (checkpoint.Find(name, &type, &shape)) return name;
  }
  return "";
}

NodeDef Constant(const NodeDef& variable, const tensorflow::Tensor& value) {
  NodeDef node;
  node.set_name(variable.name());
  node.set_op("Const");
  // These are control inputs: variables have no others.
  *node.mutable_input() = variable.input();
  (*node.mutable_attr())["dtype"].set_type(value.dtype());
  value.AsProtoTensorContent((*node.mutable_attr())["value"].mutable_tensor());
  return node;
}

NodeDef Identity(const NodeDef& read) {
  NodeDef node;
  node.set_name(read.name());
  node.set_op("Identity");
  *node.mutable_input() = read.input();
  const auto dtype = read.attr().find("dtype");
  if (dtype != read.attr().end()) (*node.mutable_attr())["T"] = dtype->second;
  return node;
}

}  // namespace

absl::StatusOr<GraphDef> Freeze(const GraphDef& graph, const std::string& checkpoint,
                                const std::vector<std::string>& outputs) {
  if (outputs.empty()) return Invalid("expected the names of outputs, got none");
  TF_RETURN_IF_ERROR(CheckStructure(graph));
  TF_RETURN_IF_ERROR(CheckTensors(graph, outputs, "output"));
  const NodesByName needed = Needed(graph, outputs);
  TF_RETURN_IF_ERROR(CheckConsumers(graph, needed));
  TF_RETURN_IF_ERROR(CheckVariables(graph, needed, outputs));
  TF_ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> reader, Checkpoint::Open(checkpoint));

  GraphDef frozen;
  *frozen.mutable_versions() = graph.versions();
  *frozen.mutable_library() = graph.library();
  std::vector<std::string> missing;
  for (const NodeDef& node : graph.node()) {
    if (!needed.contains(node.name())) continue;
    if (node.op() == kReadHandle && needed.at(NodeName(node.input(0)))->op() == kHandle) {
      *frozen.add_node() = Identity(node);
    } else if (!IsVariable(node.op())) {
      *frozen.add_node() = node;
      frozen.mutable_node(frozen.node_size() - 1)->clear_device();
    } else if (const std::string name = NameInCheckpoint(node, *reader); name.empty()) {
      missing.push_back(node.name());
    } else {
      TF_ASSIGN_OR_RETURN(const tensorflow::Tensor value, Value(node, checkpoint, name, *reader));
      *frozen.add_node() = Constant(node, value);
    }
  }
  if (!missing.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("expected a checkpoint with all variables that the outputs depend on, got ",
                     checkpoint, ", which does not have ", FirstNames(missing),
                     "; give a checkpoint of this network, with the same quantisation"));
  }
  RemoveDangling(&frozen);
  TF_RETURN_IF_ERROR(CheckImport(&frozen));
  return frozen;
}

}  // namespace imprinting
