// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/robust.hpp"

#include <cmath>
#include <string>

#include "bindings.hpp"

namespace groupglm {

namespace {

RobustMethod robust_method_of(const std::string& weights, double tuning) {
  check(weights == "bisquare" || weights == "huber", "no such weights");
  check(std::isfinite(tuning) && tuning > 0.0, "the tuning must be above zero");
  return {weights == "huber" ? RobustWeights::huber : RobustWeights::bisquare, tuning};
}

template <typename Scalar>
py::tuple robust_fit_of(const Design& design, const py::array_t<Scalar>& y,
                        const std::string& weights, double tuning, bool with_weights,
                        int n_threads) {
  const RobustMethod method = robust_method_of(weights, tuning);
  const DataView<Scalar> data = view_of(y);
  const Index n = design.n_rows();
  check(data.n_rows == n, "the data do not match the design");
  Matrix pseudo({n, data.n_voxels});
  Matrix of_images({with_weights ? n : 0, data.n_voxels});
  Matrix scale(data.n_voxels);
  Matrix mean_weight(data.n_voxels);
  Contiguous<std::int16_t> iterations(data.n_voxels);
  Contiguous<std::uint8_t> status(data.n_voxels);
  Integers totals({Index{3}, n});
  std::int64_t* const total = totals.mutable_data();
  const RobustOutputs out{pseudo.mutable_data(),
                          with_weights ? of_images.mutable_data() : nullptr,
                          scale.mutable_data(),
                          mean_weight.mutable_data(),
                          iterations.mutable_data(),
                          status.mutable_data(),
                          total,
                          total + n,
                          total + 2 * n};
  {
    const py::gil_scoped_release unlocked;
    robust_fit<Scalar>(design, method, data, out, n_threads);
  }
  return py::make_tuple(pseudo, of_images, scale, mean_weight, iterations, status, totals);
}

}  // namespace

void register_robust(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  module.def("robust_fit", &robust_fit_of<float>, py::arg("design"), y, py::arg("weights"),
             py::arg("tuning"), py::arg("with_weights"), py::arg("n_threads"));
  module.def("robust_fit", &robust_fit_of<double>, py::arg("design"), y, py::arg("weights"),
             py::arg("tuning"), py::arg("with_weights"), py::arg("n_threads"));
}

}  // namespace groupglm
