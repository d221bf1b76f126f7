# Warnings are errors, for our own targets only.
add_library(argosy_warnings INTERFACE)
target_compile_options(argosy_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wimplicit-fallthrough -Werror)
