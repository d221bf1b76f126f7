// For the files of this folder only: the pools of a node's ranks in one MPI shared window (MPI 3.1 section 11.2.3), so
// that a neighbour works straight out of the reader's slots.
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "mpi/calls.h"

namespace argosy::mpi {

class SharedWindow {
 public:
  // Collective over `node`, blocks. A window can be larger than what backs it (/dev/shm has 64 MB in many containers):
  // Open MPI then returns an error, and a first touch under MPICH is a SIGBUS. So each rank populates its part, all
  // agree whether that went well, and if not each falls back to private memory, which no neighbour sees. Throws
  // base::Error (kSystem) when there is no memory at all.
  SharedWindow(MPI_Comm world, MPI_Comm node, std::size_t bytes);
  // Collective over the node when the memory is shared.
  ~SharedWindow();
  SharedWindow(const SharedWindow&) = delete;
  SharedWindow& operator=(const SharedWindow&) = delete;

  std::span<std::byte> own() const { return own_; }
  // By rank of `world`, this rank included. Empty when memory is private.
  const std::map<int, std::span<const std::byte>>& visible() const { return visible_; }

 private:
  bool allocate_shared(MPI_Comm node, std::size_t bytes);
  void allocate_private(std::size_t bytes);

  MPI_Win window_ = MPI_WIN_NULL;
  bool private_ = false;
  std::span<std::byte> own_;
  std::map<int, std::span<const std::byte>> visible_;
};

}  // namespace argosy::mpi
