#include "mpi/shared_window.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace argosy::mpi {

namespace {

constexpr std::uintptr_t kMemoryPage = 4096;

// True when every page of `memory` is really there. Never a SIGBUS, unlike a first touch.
bool populate(std::span<std::byte> memory) {
  if (memory.empty()) return true;
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::uintptr_t start = address / kMemoryPage * kMemoryPage;
  const std::size_t length = address + memory.size() - start;
  if (madvise(reinterpret_cast<void*>(start), length, MADV_POPULATE_WRITE) == 0) return true;
  // EINVAL: a kernel before 5.14. Then the pages come as they are touched.
  return errno == EINVAL;
}

bool all_agree(MPI_Comm communicator, bool mine) {
  int ours = mine ? 1 : 0;
  check(MPI_Allreduce(MPI_IN_PLACE, &ours, 1, MPI_INT, MPI_MIN, communicator), "MPI_Allreduce");
  return ours != 0;
}

}  // namespace

SharedWindow::SharedWindow(MPI_Comm world, MPI_Comm node, std::size_t bytes) {
  int ranks = 0;
  check(MPI_Comm_size(node, &ranks), "MPI_Comm_size");
  if (ranks == 1 || !allocate_shared(node, bytes)) {
    if (ranks > 1) base::log("no shared memory for the pool: chunks are copied between the ranks of this node");
    allocate_private(bytes);
    return;
  }
  std::vector<int> on_node(static_cast<std::size_t>(ranks));
  std::vector<int> in_world(on_node.size());
  for (int rank = 0; rank < ranks; ++rank) on_node[static_cast<std::size_t>(rank)] = rank;
  MPI_Group node_group = MPI_GROUP_NULL;
  MPI_Group world_group = MPI_GROUP_NULL;
  check(MPI_Comm_group(node, &node_group), "MPI_Comm_group");
  check(MPI_Comm_group(world, &world_group), "MPI_Comm_group");
  check(MPI_Group_translate_ranks(node_group, ranks, on_node.data(), world_group, in_world.data()),
        "MPI_Group_translate_ranks");
  check(MPI_Group_free(&node_group), "MPI_Group_free");
  check(MPI_Group_free(&world_group), "MPI_Group_free");
  for (int rank = 0; rank < ranks; ++rank) {
    MPI_Aint size = 0;
    int unit = 0;
    void* memory = nullptr;
    check(MPI_Win_shared_query(window_, rank, &size, &unit, static_cast<void*>(&memory)), "MPI_Win_shared_query");
    if (size == 0) continue;
    visible_[in_world[static_cast<std::size_t>(rank)]] = {static_cast<const std::byte*>(memory),
                                                          static_cast<std::size_t>(size)};
  }
}

SharedWindow::~SharedWindow() {
  // The job is ending: an error here has nothing left to spoil.
  if (window_ != MPI_WIN_NULL) static_cast<void>(MPI_Win_free(&window_));
  if (private_) static_cast<void>(munmap(own_.data(), own_.size()));
}

bool SharedWindow::allocate_shared(MPI_Comm node, std::size_t bytes) {
  MPI_Info info = MPI_INFO_NULL;
  check(MPI_Info_create(&info), "MPI_Info_create");
  // Each rank's part is then on its own pages, and may be populated alone.
  check(MPI_Info_set(info, "alloc_shared_noncontig", "true"), "MPI_Info_set");
  void* memory = nullptr;
  const int code =
      MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes), 1, info, node, static_cast<void*>(&memory), &window_);
  check(MPI_Info_free(&info), "MPI_Info_free");
  const bool allocated = code == MPI_SUCCESS;
  if (allocated) own_ = {static_cast<std::byte*>(memory), bytes};
  if (all_agree(node, allocated && populate(own_))) return true;
  own_ = {};
  if (allocated) check(MPI_Win_free(&window_), "MPI_Win_free");
  window_ = MPI_WIN_NULL;
  return false;
}

void SharedWindow::allocate_private(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw base::system_error(base::Kind::kSystem, {}, errno, "memory for the pool");
  own_ = {static_cast<std::byte*>(memory), bytes};
  private_ = true;
}

}  // namespace argosy::mpi
