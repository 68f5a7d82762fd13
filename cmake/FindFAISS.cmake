# FindFAISS: the FAISS C API as the imported target FAISS::faiss_c.
#
# Looked for in FAISS_ROOT, then in what scripts/setup built (the newest
# faiss-* below $XDG_CACHE_HOME/linkd), then where CMake always looks. Debian's
# libfaiss-dev does not count: it has neither the C headers nor the C symbols.
# Sets FAISS_FOUND, FAISS_VERSION and FAISS_INCLUDE_DIR.
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(_faiss_cache "$ENV{XDG_CACHE_HOME}/linkd")
else()
    set(_faiss_cache "$ENV{HOME}/.cache/linkd")
endif()
file(GLOB _faiss_built LIST_DIRECTORIES true "${_faiss_cache}/faiss-*")
list(FILTER _faiss_built EXCLUDE REGEX "\\.tmp")
list(SORT _faiss_built COMPARE NATURAL ORDER DESCENDING)

find_path(FAISS_INCLUDE_DIR faiss/c_api/Index_c.h HINTS ${_faiss_built}
    PATH_SUFFIXES include)
find_library(FAISS_C_LIBRARY faiss_c HINTS ${_faiss_built} PATH_SUFFIXES lib)
find_library(FAISS_LIBRARY faiss HINTS ${_faiss_built} PATH_SUFFIXES lib)

# Only the C++ headers know the version; an installed FAISS has both.
if(FAISS_INCLUDE_DIR AND EXISTS ${FAISS_INCLUDE_DIR}/faiss/Index.h)
    file(STRINGS ${FAISS_INCLUDE_DIR}/faiss/Index.h _faiss_lines
        REGEX "^#define FAISS_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX MATCHALL "[0-9]+" _faiss_numbers "${_faiss_lines}")
    list(JOIN _faiss_numbers "." FAISS_VERSION)
endif()

string(CONCAT _faiss_advice
    "run scripts/setup, which builds FAISS with its C API, "
    "or set FAISS_ROOT to where yours is installed")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(FAISS
    REQUIRED_VARS FAISS_C_LIBRARY FAISS_LIBRARY FAISS_INCLUDE_DIR
    VERSION_VAR FAISS_VERSION
    REASON_FAILURE_MESSAGE ${_faiss_advice})

if(FAISS_FOUND AND NOT TARGET FAISS::faiss_c)
    add_library(FAISS::faiss_c UNKNOWN IMPORTED GLOBAL)
    set_target_properties(FAISS::faiss_c PROPERTIES
        IMPORTED_LOCATION "${FAISS_C_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${FAISS_INCLUDE_DIR}")
    if(FAISS_LIBRARY MATCHES "\\.a$")
        # A static FAISS brings what it was built on: BLAS, OpenMP (gcc's,
        # also when clang links) and the C++ library.
        pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET GLOBAL openblas)
        target_link_libraries(FAISS::faiss_c INTERFACE
            "${FAISS_LIBRARY}" PkgConfig::OPENBLAS gomp stdc++ m)
    else()
        target_link_libraries(FAISS::faiss_c INTERFACE "${FAISS_LIBRARY}")
    endif()
endif()
mark_as_advanced(FAISS_INCLUDE_DIR FAISS_C_LIBRARY FAISS_LIBRARY)
