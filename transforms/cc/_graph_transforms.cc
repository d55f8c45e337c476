// The Python module _graph_transforms: converts arguments, results and errors.
//
// transforms/graph_transforms.py wraps it, and has the documentation.

#include <malloc.h>

#include <climits>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"
#include "pybind11/pybind11.h"
#include "pybind11/stl.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "transforms/cc/freeze.h"
#include "transforms/cc/import_check.h"
#include "transforms/cc/registry.h"
#include "transforms/cc/status.h"
#include "transforms/cc/transform.h"

namespace imprinting {
namespace {

namespace py = pybind11;

using tensorflow::GraphDef;
using tensorflow::graph_transforms::TransformParameters;

[[noreturn]] void Throw(PyObject* type, absl::string_view message) {
  // A path in the message need not be valid UTF-8.
  PyObject* text = PyUnicode_DecodeUTF8(message.data(), message.size(), "replace");
  if (text != nullptr) PyErr_SetObject(type, text);
  Py_XDECREF(text);
  throw py::error_already_set();
}

// Throws the Python exception that corresponds to a status, unless that is OK.
void Check(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return;
    case absl::StatusCode::kNotFound:
      Throw(PyExc_FileNotFoundError, status.message());
    case absl::StatusCode::kPermissionDenied:
      Throw(PyExc_PermissionError, status.message());
    case absl::StatusCode::kResourceExhausted:
      Throw(PyExc_MemoryError, status.message());
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
      Throw(PyExc_ValueError, status.message());
    default:
      Throw(PyExc_RuntimeError, status.ToString());
  }
}

absl::string_view View(const py::bytes& bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw py::error_already_set();
  return absl::string_view(data, size);
}

// Checks that a graph is not larger than the largest message of protobuf.
absl::Status CheckSize(size_t size) {
  if (size <= INT_MAX) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("expected a graph of at most ", INT_MAX, " bytes, got ", size));
}

absl::Status Parse(absl::string_view bytes, GraphDef* graph) {
  TF_RETURN_IF_ERROR(CheckSize(bytes.size()));
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  // Protobuf reads an empty file as an empty graph, but it is most likely a mistake.
  if (!graph->ParseFromZeroCopyStream(&stream) || graph->node().empty()) {
    return Invalid(
        "expected a serialised GraphDef, got something else; if it is a GraphDef in text form, "
        "read it as text");
  }
  return absl::OkStatus();
}

// Writes the graph to a buffer of exactly its size.
absl::Status Write(const GraphDef& graph, char* bytes, size_t size) {
  google::protobuf::io::ArrayOutputStream stream(bytes, static_cast<int>(size));
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  if (!graph.SerializeToCodedStream(&coded)) {
    return absl::InternalError(
        absl::StrCat("expected a serialised graph of ", size, " bytes, got a larger one"));
  }
  return absl::OkStatus();
}

// Calls a function that returns a status, with Python's lock released, and throws its error.
template <typename Function>
void CheckUnlocked(Function function) {
  absl::Status status;
  {
    py::gil_scoped_release unlocked;
    try {
      status = function();
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("there is not enough memory for the graph");
    } catch (const std::exception& error) {
      status = absl::InternalError(error.what());
    }
  }
  Check(status);
}

// Calls a function that makes a graph, and serialises the graph. Python's lock is held only to
// allocate the result.
template <typename Function>
py::bytes Run(Function function) {
  auto graph = std::make_unique<GraphDef>();
  size_t size = 0;
  CheckUnlocked([&]() -> absl::Status {
    TF_RETURN_IF_ERROR(function(graph.get()));
    size = graph->ByteSizeLong();
    return CheckSize(size);
  });
  auto output = py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, size));
  if (!output) throw py::error_already_set();
  CheckUnlocked([&, bytes = PyBytes_AS_STRING(output.ptr())] {
    absl::Status status = Write(*graph, bytes, size);
    graph.reset();
    return status;
  });
  return output;
}

py::bytes FreezeBytes(const py::bytes& graph, const std::string& checkpoint,
                      const std::vector<std::string>& outputs) {
  return Run([&, view = View(graph)](GraphDef* graph) -> absl::Status {
    TF_RETURN_IF_ERROR(Parse(view, graph));
    TF_ASSIGN_OR_RETURN(*graph, Freeze(*graph, checkpoint, outputs));
    return absl::OkStatus();
  });
}

py::bytes TransformBytes(const py::bytes& graph, const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs,
                         const TransformParameters& transforms, bool fold_fake_quant) {
  return Run([&, view = View(graph)](GraphDef* graph) -> absl::Status {
    TF_RETURN_IF_ERROR(Parse(view, graph));
    return Transform(graph, inputs, outputs, transforms, fold_fake_quant);
  });
}

std::vector<std::string> UnknownOpsOf(const py::bytes& graph) {
  std::vector<std::string> unknown;
  CheckUnlocked([&, view = View(graph)]() -> absl::Status {
    GraphDef parsed;
    TF_RETURN_IF_ERROR(Parse(view, &parsed));
    unknown = UnknownOps(parsed);
    return absl::OkStatus();
  });
  return unknown;
}

// Keeps the first error in a text, instead of printing all of them as protobuf does.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void RecordError(int line, int column, absl::string_view message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

py::bytes FromText(const py::bytes& text) {
  return Run([view = View(text)](GraphDef* graph) -> absl::Status {
    FirstError error;
    google::protobuf::TextFormat::Parser parser;
    parser.RecordErrorsTo(&error);
    if (parser.ParseFromString(std::string(view), graph) && !graph->node().empty()) {
      return absl::OkStatus();
    }
    return Invalid("expected a GraphDef in text form, got something else (",
                   error.text().empty() ? "no node" : absl::CHexEscape(error.text()), ")");
  });
}

// Lets the process keep up to 128 MiB of freed memory. Otherwise, for each copy of a graph that a
// transform makes, glibc requests memory for the large constants from the kernel and returns it
// afterwards, which takes a third of the transform's time.
void KeepMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // The highest threshold that glibc accepts.
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
}

TransformParameters ParseText(const std::string& text) {
  absl::StatusOr<TransformParameters> parsed = ParseTransforms(text);
  Check(parsed.status());
  return *std::move(parsed);
}

}  // namespace
}  // namespace imprinting

PYBIND11_MODULE(_graph_transforms, m) {
  imprinting::KeepMemory();
  imprinting::RegisterTransforms();
  m.doc() = "TensorFlow's graph transforms. graph_transforms.py has the documentation.";
  m.def("freeze", &imprinting::FreezeBytes, pybind11::arg("graph"), pybind11::arg("checkpoint"),
        pybind11::arg("outputs"));
  m.def("transform", &imprinting::TransformBytes, pybind11::arg("graph"), pybind11::arg("inputs"),
        pybind11::arg("outputs"), pybind11::arg("transforms"), pybind11::arg("fold_fake_quant"));
  m.def("from_text", &imprinting::FromText, pybind11::arg("text"));
  m.def("parse_transforms", &imprinting::ParseText, pybind11::arg("text"));
  m.def("unknown_ops", &imprinting::UnknownOpsOf, pybind11::arg("graph"));
  m.def("transform_names", &imprinting::TransformNames);
}
