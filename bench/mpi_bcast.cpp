// mpi_bcast SOURCE TARGET [CHUNK]: the baseline of bench/lab. Rank 0 reads the file SOURCE in chunks of CHUNK bytes
// (1 MiB), MPI_Bcast takes each to one rank of every node, and all of these write it to TARGET on their own disk.
// Prints the seconds from when all are ready until all have written; a failure ends all of it.
#include <fcntl.h>
#include <mpi.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

void check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

// The first ranks of all nodes, rank 0 first; on others MPI_COMM_NULL.
MPI_Comm make_leaders() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm node = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  int place = 0;
  MPI_Comm_rank(node, &place);
  MPI_Comm leaders = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, place == 0 ? 0 : MPI_UNDEFINED, rank, &leaders);
  MPI_Comm_free(&node);
  return leaders;
}

void copy(MPI_Comm leaders, const char* source, const char* target, std::size_t chunk) {
  int rank = 0;
  MPI_Comm_rank(leaders, &rank);
  int in = -1;
  std::int64_t size = 0;
  if (rank == 0) {
    in = open(source, O_RDONLY | O_CLOEXEC);
    struct stat status = {};
    check(in >= 0 && fstat(in, &status) == 0, source);
    size = status.st_size;
  }
  const int out = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(out >= 0, target);
  std::vector<char> buffer(chunk);
  MPI_Barrier(leaders);
  const double began = MPI_Wtime();
  MPI_Bcast(&size, 1, MPI_INT64_T, 0, leaders);
  while (size > 0) {
    const auto length = static_cast<std::size_t>(std::min<std::int64_t>(size, static_cast<std::int64_t>(chunk)));
    std::size_t have = 0;
    while (rank == 0 && have < length) {
      const ssize_t got = read(in, buffer.data() + have, length - have);
      check(got > 0, source);
      have += static_cast<std::size_t>(got);
    }
    MPI_Bcast(buffer.data(), static_cast<int>(length), MPI_BYTE, 0, leaders);
    for (std::size_t done = 0; done < length;) {
      const ssize_t put = write(out, buffer.data() + done, length - done);
      check(put > 0, target);
      done += static_cast<std::size_t>(put);
    }
    size -= static_cast<std::int64_t>(length);
  }
  check(close(out) == 0, target);
  MPI_Barrier(leaders);
  if (rank == 0) std::printf("%.6f\n", MPI_Wtime() - began);
  if (in >= 0) close(in);
}

}  // namespace

int main(int argc, char** argv) {
  const long chunk = argc == 4 ? std::strtol(argv[3], nullptr, 10) : 1 << 20;
  if (argc < 3 || argc > 4 || chunk < 1 || chunk > 1 << 30) {
    std::fputs("usage: mpi_bcast SOURCE TARGET [CHUNK]\n", stderr);
    return 2;
  }
  MPI_Init(&argc, &argv);
  MPI_Comm leaders = make_leaders();
  if (leaders != MPI_COMM_NULL) {
    copy(leaders, argv[1], argv[2], static_cast<std::size_t>(chunk));
    MPI_Comm_free(&leaders);
  }
  std::fflush(stdout);
#ifdef MPICH_VERSION
  // MPICH 4.0 over UCX can hang in MPI_Finalize with all work done (pmodels/mpich, pull request 6596).
  MPI_Barrier(MPI_COMM_WORLD);
  _exit(0);
#else
  MPI_Finalize();
  return 0;
#endif
}
