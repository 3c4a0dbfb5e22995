// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of fits, permutations and smoothing for processors with AVX-512.
//
// This is a separate extension module, so that the linker cannot put an inline function compiled
// for AVX-512 into code that other processors run. It offers plain function pointers, which
// _core.py hands to the module of all other functions.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "groupglm/loops/inner_loops.hpp"

namespace {

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_core_v4",
                          "Inner loops for AVX-512.",
                          -1,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__core_v4() {
  static groupglm::InnerLoops loops = groupglm::own_inner_loops();
  PyObject* const module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  PyObject* const capsule = PyCapsule_New(&loops, groupglm::kLoopsCapsule, nullptr);
  if (capsule == nullptr || PyModule_AddObject(module, "inner_loops", capsule) != 0) {
    Py_XDECREF(capsule);
    Py_DECREF(module);
    return nullptr;
  }
  return module;
}
