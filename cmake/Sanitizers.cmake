# ARGOSY_SANITIZE: a list for -fsanitize=, as the presets asan (address,undefined) and tsan (thread) set it.
set(ARGOSY_SANITIZE "" CACHE STRING "Sanitizers for every target, such as address,undefined")
if(ARGOSY_SANITIZE)
  add_compile_options(-fsanitize=${ARGOSY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ARGOSY_SANITIZE})
endif()
