# ARGOSY_SANITIZE: a list for -fsanitize=, as the presets asan (address,undefined) and tsan (thread) set it.
# ThreadSanitizer goes with Open MPI: MPICH is linked with UCX, which looks into every thread's last madvise(2), when
# the sanitizer has already let go of the thread.
set(ARGOSY_SANITIZE "" CACHE STRING "Sanitizers for every target, such as address,undefined")
if(ARGOSY_SANITIZE)
  add_compile_options(-fsanitize=${ARGOSY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ARGOSY_SANITIZE})
endif()
