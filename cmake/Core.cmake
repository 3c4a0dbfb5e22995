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
  set_source_files_properties("${CMAKE_CURRENT_LIST_DIR}/../cpp/src/volume/resampling_map.cpp"
                              PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
endif()

# What every target that compiles some of the core needs, whatever its level.
function(groupglm_compile_core target level)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/cpp/include"
                                       PRIVATE "${PROJECT_SOURCE_DIR}/cpp/src")
  target_link_libraries(${target} PUBLIC Eigen3::Eigen)
  # Eigen's own threads would nest inside ours and make results depend on their number; its fast
  # math has an approximate square root for full registers only, so that a voxel's last bit would
  # depend on its place in memory. Memory is aligned for the widest registers at every level, as the
  # loops of one level may work on what another allocated.
  target_compile_definitions(${target} PUBLIC EIGEN_DONT_PARALLELIZE EIGEN_FAST_MATH=0
                                              EIGEN_MPL2_ONLY EIGEN_MAX_ALIGN_BYTES=64
                                       PRIVATE GROUPGLM_LEVEL="${level}")
endfunction()

# A static library with the core, compiled with the given flags.
function(groupglm_add_core target level flags)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/src/*.cpp")
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  groupglm_compile_core(${target} ${level})
  target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX)
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
    list(APPEND levels v3)
  endif()
  set(${out} ${levels} PARENT_SCOPE)
endfunction()

function(groupglm_install_module module)
  groupglm_set_warnings(${module})
  install(TARGETS ${module} LIBRARY DESTINATION groupglm COMPONENT python)
  add_dependencies(python ${module})
endfunction()

# A module with all of the core, at one level.
function(groupglm_add_module level)
  set(flags "")
  if(level STREQUAL "v3")
    set(flags -march=x86-64-v3)
  endif()
  groupglm_add_core(groupglm_core_${level} ${level} "${flags}")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/bindings/*.cpp")
  pybind11_add_module(_core_${level} MODULE ${sources})
  # One unit: each file by itself would compile pybind11's headers anew, three quarters of its time.
  set_target_properties(_core_${level} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  target_link_libraries(_core_${level} PRIVATE groupglm_core_${level} OpenMP::OpenMP_CXX)
  target_compile_definitions(_core_${level} PRIVATE GROUPGLM_MODULE=_core_${level})
  groupglm_install_module(_core_${level})
endfunction()

# A module with nothing but the inner loops of the OLS update, of weighted fits, of the variance
# between images, of permutations and of smoothing, which gain most from AVX-512.
function(groupglm_add_v4_loops)
  set(loops "${PROJECT_SOURCE_DIR}/cpp/src/loops")
  python_add_library(_core_v4 MODULE WITH_SOABI "${PROJECT_SOURCE_DIR}/cpp/bindings/v4/loops.cpp"
                     "${loops}/convolution.cpp" "${loops}/image_sums.cpp" "${loops}/own_loops.cpp"
                     "${loops}/projection.cpp" "${loops}/rotation.cpp")
  groupglm_compile_core(_core_v4 v4)
  target_compile_options(_core_v4 PRIVATE -march=x86-64-v4 -mprefer-vector-width=512)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # A false alarm inside the compiler's own AVX-512 header (GCC bug 105593).
    target_compile_options(_core_v4 PRIVATE -Wno-maybe-uninitialized)
  endif()
  groupglm_install_module(_core_v4)
endfunction()
