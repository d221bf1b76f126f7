# The one MPI this build is for: ARGOSY_MPI is openmpi or mpich, side by side on Debian. Its launcher's full path is fixed
# here, so that argosy starts its job with the mpiexec of the library it was linked with.
set(ARGOSY_MPI "openmpi" CACHE STRING "openmpi or mpich")
set_property(CACHE ARGOSY_MPI PROPERTY STRINGS openmpi mpich)
if(NOT ARGOSY_MPI MATCHES "^(openmpi|mpich)$")
  message(FATAL_ERROR "ARGOSY_MPI is openmpi or mpich, not '${ARGOSY_MPI}'")
endif()
find_program(ARGOSY_MPICXX mpicxx.${ARGOSY_MPI} REQUIRED)
find_program(ARGOSY_MPIEXEC mpiexec.${ARGOSY_MPI} REQUIRED)
set(MPI_CXX_COMPILER ${ARGOSY_MPICXX})
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI 3.1 REQUIRED COMPONENTS CXX)
