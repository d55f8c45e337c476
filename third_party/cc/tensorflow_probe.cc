// A Python extension that is linked with TensorFlow's libraries in the wheel, to test that the
// build can make one. It calls a function of each library.

#include <string>

#include "pybind11/pybind11.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/core/framework/op.h"

PYBIND11_MODULE(tensorflow_probe, m) {
  m.doc() = "Answers of TensorFlow's C++ libraries.";
  m.def("version", [] { return std::string(TF_Version()); });
  m.def("is_op", [](const std::string& name) {
    return tensorflow::OpRegistry::Global()->LookUp(name) != nullptr;
  });
}
