// What the sanitizers are told in every test program: the MPI libraries and what they load are not instrumented, and
// keep memory until the process ends.

extern "C" {
const char* __asan_default_options();
const char* __lsan_default_suppressions();
const char* __tsan_default_suppressions();

// One of MPICH's libraries replaces malloc.
const char* __asan_default_options() { return "alloc_dealloc_mismatch=0:print_suppressions=0"; }

const char* __lsan_default_suppressions() {
  return "leak:libmpi\nleak:libopen-\nleak:libuc\nleak:libfabric\nleak:libhwloc\nleak:libpmix\nleak:dlopen\nleak:_dl_"
         "open\n";
}

const char* __tsan_default_suppressions() {
  return "called_from_lib:libmpich.so\ncalled_from_lib:libmpi.so\ncalled_from_lib:libucs.so\n"
         // A library of UCX unlocks, while it is unloaded, what it never locked.
         "mutex:_dl_call_fini\nmutex:libucs.so\n";
}
}
