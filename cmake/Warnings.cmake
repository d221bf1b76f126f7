# Warnings are errors, for our own targets only.
add_library(argosy_warnings INTERFACE)
target_compile_options(argosy_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wimplicit-fallthrough -Werror)
# GCC 12 at -O3 sees overlaps and overflows in its own std::string and std::vector that aren't there (its bugs 105651, 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(argosy_warnings INTERFACE -Wno-restrict -Wno-stringop-overflow)
endif()
