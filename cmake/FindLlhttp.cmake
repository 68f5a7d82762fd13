# FindLlhttp: the HTTP parser as the imported target Llhttp::llhttp.
#
# Debian 12 does not have it. Looked for in LLHTTP_ROOT, then in what
# scripts/setup built below $XDG_CACHE_HOME/linkd, then where CMake looks.
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(_llhttp_cache "$ENV{XDG_CACHE_HOME}/linkd")
else()
    set(_llhttp_cache "$ENV{HOME}/.cache/linkd")
endif()
file(GLOB _llhttp_built LIST_DIRECTORIES true "${_llhttp_cache}/llhttp-*")
list(FILTER _llhttp_built EXCLUDE REGEX "\\.tmp")
list(SORT _llhttp_built COMPARE NATURAL ORDER DESCENDING)

find_path(LLHTTP_INCLUDE_DIR llhttp.h HINTS $ENV{LLHTTP_ROOT} ${_llhttp_built}
    PATH_SUFFIXES include)
find_library(LLHTTP_LIBRARY llhttp HINTS $ENV{LLHTTP_ROOT} ${_llhttp_built}
    PATH_SUFFIXES lib)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Llhttp
    REQUIRED_VARS LLHTTP_LIBRARY LLHTTP_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "run scripts/setup, which builds it")

if(LLHTTP_FOUND AND NOT TARGET Llhttp::llhttp)
    add_library(Llhttp::llhttp UNKNOWN IMPORTED GLOBAL)
    set_target_properties(Llhttp::llhttp PROPERTIES
        IMPORTED_LOCATION "${LLHTTP_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${LLHTTP_INCLUDE_DIR}")
endif()
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_LIBRARY)
