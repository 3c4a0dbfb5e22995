# SPDX-License-Identifier: BSD-3-Clause
# Eigen from the system, or from the cmeel-eigen package, whose prefix CMake does not search by itself.
find_package(Eigen3 3.4 NO_MODULE QUIET)
if(NOT Eigen3_FOUND)
  find_package(Python 3.11 QUIET COMPONENTS Interpreter)
  if(Python_Interpreter_FOUND)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c
              "import pathlib, cmeel; print(pathlib.Path(cmeel.__file__).parents[1] / 'cmeel.prefix')"
      OUTPUT_VARIABLE cmeel_prefix
      OUTPUT_STRIP_TRAILING_WHITESPACE
      ERROR_QUIET)
    list(APPEND CMAKE_PREFIX_PATH "${cmeel_prefix}")
  endif()
  find_package(Eigen3 3.4 NO_MODULE QUIET)
endif()
if(NOT Eigen3_FOUND)
  message(FATAL_ERROR "Eigen 3.4 was not found: install libeigen3-dev, or `pip install cmeel-eigen` for the Python that CMake finds.")
endif()
