// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/edge_sums.hpp"

#include <algorithm>

#include "bindings.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
void add_rows_to_edge_sums(const Contiguous<Scalar>& rows, const Contiguous<std::int32_t>& edges,
                           Matrix& squares, Matrix& products, Contiguous<std::uint8_t>& differs,
                           int n_threads) {
  check(rows.ndim() == 2, "the rows must have two dimensions");
  check(edges.ndim() == 2 && edges.shape(0) == 2, "the edges must have two rows");
  const Index n_places = rows.shape(1);
  const Index n_edges = edges.shape(1);
  check(squares.ndim() == 1 && squares.shape(0) == n_places, "squares must have a value a place");
  check(products.ndim() == 1 && products.shape(0) == n_edges, "products must have a value an edge");
  check(differs.ndim() == 1 && differs.shape(0) == n_edges, "differs must have a value an edge");
  const std::int32_t* const ends = edges.data();
  const EdgeSumsView sums{squares.mutable_data(), products.mutable_data(),
                          differs.mutable_data()};  // refuses a read-only array
  const Scalar* const values = rows.data();
  const Index n_rows = rows.shape(0);
  if (n_edges > 0) {
    const auto [least, most] = std::minmax_element(ends, ends + 2 * n_edges);
    check(*least >= 0 && *most < n_places, "an edge has a place that does not exist");
  }
  const py::gil_scoped_release unlocked;
  add_edge_sums<Scalar>(values, n_rows, n_places, {ends, ends + n_edges, n_edges}, sums, n_threads);
}

}  // namespace

void register_edge_sums(py::module_& module) {
  const auto rows = py::arg("rows").noconvert();
  const auto edges = py::arg("edges").noconvert();
  const auto squares = py::arg("squares").noconvert();
  const auto products = py::arg("products").noconvert();
  const auto differs = py::arg("differs").noconvert();
  const auto threads = py::arg("n_threads");
  module.def("add_edge_sums", &add_rows_to_edge_sums<float>, rows, edges, squares, products,
             differs, threads);
  module.def("add_edge_sums", &add_rows_to_edge_sums<double>, rows, edges, squares, products,
             differs, threads);
}

}  // namespace groupglm
