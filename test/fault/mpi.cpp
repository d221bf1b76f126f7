// Messages that change on their way: the sending functions of MPI's profiling interface. This library isn't linked with
// MPI; the weak names are found in the program that it is preloaded into, and in a program without MPI nobody calls
// them.

// Without the C++ bindings, whose symbols only a program linked with MPI would find.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#define XXH_INLINE_ALL 1
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "rules.h"

#pragma weak PMPI_Isend
#pragma weak PMPI_Issend
#pragma weak PMPI_Send
#pragma weak PMPI_Type_size
#if MPI_VERSION >= 4
#pragma weak PMPI_Isend_c
#endif

namespace {

// Gives a message that was forged the checksums that belong to it (doc/wire_format.md): of a chunk in its head, of all
// else at the end.
void seal(unsigned char* message, std::size_t size) {
  constexpr std::size_t kHead = 64;
  constexpr std::size_t kRecord = 48;
  if (size >= kHead && std::memcmp(message, "ARGC", 4) == 0) {
    std::uint32_t records = 0;
    std::memcpy(&records, message + 20, sizeof records);
    const std::size_t behind = std::min(size - kHead, records * kRecord);
    const std::uint64_t sums[2] = {XXH3_64bits(message, kHead - 8), XXH3_64bits(message + size - behind, behind)};
    const std::uint64_t sum = XXH3_64bits(sums, sizeof sums);
    std::memcpy(message + kHead - 8, &sum, sizeof sum);
  } else if (size >= 8) {
    const std::uint64_t sum = XXH3_64bits(message, size - 8);
    std::memcpy(message + size - 8, &sum, sizeof sum);
  }
}

// The bytes to send in place of `data`: itself, or a copy that is damaged or forged. The copy is never freed, since a
// request may read it for as long as it likes.
const void* as_sent(const void* data, std::int64_t count, MPI_Datatype type, int peer, int tag) {
  if (!fault::concerned(fault::Op::kSend)) return data;
  int width = 0;
  PMPI_Type_size(type, &width);
  const auto size = static_cast<std::size_t>(count * width);
  const fault::Verdict verdict = fault::consult(fault::Op::kSend, "", size, tag, peer, data);
  if ((!verdict.flip && verdict.was.empty()) || size == 0) return data;
  auto* wrong = static_cast<unsigned char*>(std::malloc(size));
  std::memcpy(wrong, data, size);
  if (!verdict.was.empty()) {
    const std::string& was = verdict.was;
    unsigned char* const found = std::search(wrong, wrong + size, was.begin(), was.end(), [](unsigned char a, char b) {
      return a == static_cast<unsigned char>(b);
    });
    if (found == wrong + size) return data;
    std::memcpy(found, verdict.becomes.data(), was.size());
    seal(wrong, size);
  }
  if (!verdict.flip) return wrong;
  const auto length = static_cast<std::int64_t>(size);
  const auto at = static_cast<std::size_t>(((*verdict.flip % length) + length) % length);
  wrong[at] = static_cast<unsigned char>(wrong[at] ^ 0x01);
  return wrong;
}

}  // namespace

#define FAULT_MPI extern "C" __attribute__((visibility("default")))

FAULT_MPI int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
                        MPI_Request* request) {
  return PMPI_Isend(as_sent(data, count, type, to, tag), count, type, to, tag, comm, request);
}

FAULT_MPI int MPI_Issend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
                         MPI_Request* request) {
  return PMPI_Issend(as_sent(data, count, type, to, tag), count, type, to, tag, comm, request);
}

FAULT_MPI int MPI_Send(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm) {
  return PMPI_Send(as_sent(data, count, type, to, tag), count, type, to, tag, comm);
}

#if MPI_VERSION >= 4
FAULT_MPI int MPI_Isend_c(const void* data, MPI_Count count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
                          MPI_Request* request) {
  return PMPI_Isend_c(as_sent(data, count, type, to, tag), count, type, to, tag, comm, request);
}
#endif
