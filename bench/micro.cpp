// Micro-benchmarks of what every byte and every entry pays for: the digest of a chunk, a manifest page there and back.
//   build/mpich/bench/micro
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/digest.h"
#include "core/erasure.h"
#include "core/manifest.h"

namespace {

using argosy::core::Entry;
using argosy::core::Page;

void chunk_digest(benchmark::State& state) {
  std::vector<std::byte> data(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 131);
  for (auto _ : state) benchmark::DoNotOptimize(argosy::base::digest_of(data, 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(chunk_digest)->Arg(256 << 10)->Arg(1 << 20)->Arg(4 << 20);

Page full_page() {
  Page page;
  for (std::size_t i = 0; i < argosy::core::kEntriesAPage; ++i) {
    Entry entry;
    entry.path = "a/folder/of/some/depth/file-" + std::to_string(i);
    entry.size = static_cast<std::int64_t>(i) * 4099;
    entry.mode = 0644;
    entry.mtime = {1700000000, 123456789};
    entry.inode = i;
    page.entries.push_back(entry);
  }
  return page;
}

void page_encode(benchmark::State& state) {
  const Page page = full_page();
  for (auto _ : state) benchmark::DoNotOptimize(argosy::core::encode_page(page));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(page.entries.size()));
}
BENCHMARK(page_encode);

void page_decode(benchmark::State& state) {
  const std::vector<std::byte> bytes = argosy::core::encode_page(full_page());
  std::string why;
  for (auto _ : state) {
    const auto page = argosy::core::decode_page(bytes, why);
    if (!page) std::abort();
    benchmark::DoNotOptimize(page);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(argosy::core::kEntriesAPage));
}
BENCHMARK(page_decode);

// Parity of six chunks as they come, two of it, as the dealer makes it; bytes of data a second.
void parity_6_2(benchmark::State& state) {
  constexpr std::size_t kChunk = 1 << 20;
  std::vector<std::vector<std::byte>> chunks(8, std::vector<std::byte>(kChunk, std::byte{7}));
  const std::vector<std::byte*> sums = {chunks[6].data(), chunks[7].data()};
  const argosy::core::Combination encoder = argosy::core::encoder(6, 2);
  for (auto _ : state) {
    for (int i = 0; i < 6; ++i) encoder.add(i, chunks[static_cast<std::size_t>(i)], sums);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(6 * kChunk));
}
BENCHMARK(parity_6_2);

}  // namespace
