// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>

#include "bindings.hpp"
#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

#define GROUPGLM_STRING(x) #x
#define GROUPGLM_QUOTED(x) GROUPGLM_STRING(x)

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#elif defined(_MSC_VER)
  return "msvc " GROUPGLM_QUOTED(_MSC_VER);
#else
  return "unknown";
#endif
}

std::string eigen_version() {
  return GROUPGLM_QUOTED(EIGEN_WORLD_VERSION) "." GROUPGLM_QUOTED(
      EIGEN_MAJOR_VERSION) "." GROUPGLM_QUOTED(EIGEN_MINOR_VERSION);
}

// The highest level that both this processor and the operating system support.
std::string supported_level() {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v4) return "v4";
  if (v3) return "v3";
#endif
  return "baseline";
}

}  // namespace

void register_build_info(py::module_& module) {
  // The loops stay valid: Python never unloads the capsule's module.
  const auto use = [](const py::capsule& capsule) {
    if (capsule.name() == nullptr || std::strcmp(capsule.name(), kLoopsCapsule) != 0) {
      throw py::value_error("not the inner loops of a module of the core");
    }
    use_inner_loops(*capsule.get_pointer<const InnerLoops>());
  };
  module.def("use_inner_loops", use, py::arg("loops"));
  module.def("supported_level", &supported_level);
  module.def("max_threads", [] { return resolve_threads(0); });
  const char* doc = R"(Say how the compiled core in use was built, for a bug report.

Returns
-------
dict
    ``compiler``; ``level`` of the x86-64 instruction set ("baseline", "v3" or "v4"), the highest
    that the processor runs unless ``GROUPGLM_CPU_LEVEL`` says otherwise; ``openmp_threads``;
    ``eigen``, its version.

Examples
--------
>>> from groupglm import build_info
>>> sorted(build_info())
['compiler', 'eigen', 'level', 'openmp_threads']
)";
  const auto build_info = [] {
    py::dict info;
    info["compiler"] = compiler();
    info["level"] = inner_loops().level;
    info["openmp_threads"] = resolve_threads(0);
    info["eigen"] = eigen_version();
    return info;
  };
  module.def("build_info", build_info, doc);
}

}  // namespace groupglm
