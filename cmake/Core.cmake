# SPDX-License-Identifier: BSD-3-Clause

# Warnings are set per target, so that a dependency's headers are not judged by ours.
function(groupglm_set_warnings target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${GROUPGLM_WERROR}>:/WX>)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow
                                             $<$<BOOL:${GROUPGLM_WERROR}>:-Werror>)
  endif()
endfunction()

function(groupglm_set_sanitizers target)
  if(GROUPGLM_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
endfunction()

# Points of a resampling must not hang on whether the processor fuses multiply and add.
if(NOT MSVC)
  set_source_files_properties("${CMAKE_CURRENT_LIST_DIR}/../cpp/src/resampling_map.cpp"
                              PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
endif()

# A static library with the core, compiled with the given flags.
function(groupglm_add_core target flags)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/src/*.cpp")
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/cpp/include")
  target_link_libraries(${target} PUBLIC Eigen3::Eigen PRIVATE OpenMP::OpenMP_CXX)
  # Eigen's own threads would nest inside ours and make results depend on their number; its fast
  # math has an approximate square root for full registers only, so that a voxel's last bit would
  # depend on its place in memory.
  target_compile_definitions(${target} PUBLIC EIGEN_DONT_PARALLELIZE EIGEN_FAST_MATH=0
                                              EIGEN_MPL2_ONLY)
  target_compile_options(${target} PUBLIC ${flags})
  groupglm_set_warnings(${target})
  groupglm_set_sanitizers(${target})
endfunction()

# The instruction-set levels one build serves: each is its own module with hidden symbols, because the
# same inline template compiled under two flag sets into one shared object may be merged by the linker
# and then crash an older machine.
function(groupglm_cpu_levels out)
  set(levels baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT MSVC)
    list(APPEND levels v3 v4)
  endif()
  set(${out} ${levels} PARENT_SCOPE)
endfunction()

function(groupglm_add_module level)
  set(flags "")
  if(level STREQUAL "v3")
    set(flags -march=x86-64-v3)
  elseif(level STREQUAL "v4")
    set(flags -march=x86-64-v4 -mprefer-vector-width=512)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      # A false alarm inside the compiler's own AVX-512 header (GCC bug 105593).
      list(APPEND flags -Wno-maybe-uninitialized)
    endif()
  endif()
  groupglm_add_core(groupglm_core_${level} "${flags}")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/bindings/*.cpp")
  pybind11_add_module(_core_${level} MODULE ${sources})
  target_link_libraries(_core_${level} PRIVATE groupglm_core_${level} OpenMP::OpenMP_CXX)
  target_compile_definitions(_core_${level} PRIVATE GROUPGLM_MODULE=_core_${level}
                                                    GROUPGLM_LEVEL="${level}")
  groupglm_set_warnings(_core_${level})
  install(TARGETS _core_${level} LIBRARY DESTINATION groupglm COMPONENT python)
  add_dependencies(python _core_${level})
endfunction()
