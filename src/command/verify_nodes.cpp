// Is a folder the same on every node? Each node's leader digests what it sees, and the digests meet: first one for the
// whole tree, and only where that differs one for each of a number of drawers, into which paths are put by their hash;
// then the nodes tell what they have in the drawers that differ. So little travels, and nobody holds the tree.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "command/dealt.h"
#include "command/verify.h"
#include "file/compare.h"
#include "file/digest_file.h"
#include "file/listing.h"

namespace argosy::command {

namespace {

constexpr std::size_t kDrawers = 256;
constexpr double kGatherSeconds = 3600;
constexpr std::size_t kLongestPath = 256 * 1024;
// Of a node that has more differences than this only so many are told.
constexpr std::size_t kMostTold = 100'000;

struct Seen {
  std::array<base::Digest, kDrawers> drawers{};
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
  std::vector<base::Failure> failures;
};

std::uint64_t hash_of(std::string_view text) { return base::checksum_of(std::as_bytes(std::span(text))); }

std::size_t drawer_of(std::string_view path) { return hash_of(path) % kDrawers; }

// What tells one entry from another of its path, its content included.
base::Digest digest_of_entry(file::Listing& listing, const file::Listing::Item& item, const file::Metadata& what) {
  const file::Place place{listing.folders(), item.path};
  const std::string shown = listing.shown(item.path);
  const core::Entry entry = file::entry_of(place, item.status, shown);
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put_string(item.path);
  writer.put(static_cast<std::uint8_t>(entry.type));
  writer.put(entry.size);
  writer.put(entry.device);
  writer.put_string(entry.link);
  const bool link = entry.type == core::Type::kSymlink;
  // Set-id bits go only with their owner.
  if (what.mode && !link) writer.put(entry.mode & (what.owner ? 07777U : 01777U));
  if (what.owner) {
    writer.put(entry.uid);
    writer.put(entry.gid);
  }
  if (what.times) {
    writer.put(entry.mtime.seconds);
    writer.put(entry.mtime.nanoseconds);
  }
  if (what.attributes && file::may_have_attributes(entry.type)) {
    for (const core::Attribute& attribute : file::attributes_of(place, shown)) {
      writer.put_string(attribute.name);
      writer.put_string(attribute.value);
    }
  }
  if (entry.type == core::Type::kFile) {
    const file::OpenedForDigest content(shown, shown, entry.size);
    const base::Digest digest = content.sum(0, entry.size);
    writer.put(digest.low);
    writer.put(digest.high);
  }
  return base::digest_of(bytes, 0);
}

// Walks the tree; `wanted` says which drawers are looked into, `tell` gets each entry of these.
template <typename Tell>
void look_over(const std::string& directory, const file::Metadata& what, const std::vector<bool>& wanted, Seen& seen,
               Tell tell) {
  try {
    file::Listing listing(directory);
    while (const auto item = listing.next()) {
      const std::size_t drawer = drawer_of(item->path);
      if (!wanted[drawer]) continue;
      try {
        if (item->failure) throw base::Error(*item->failure);
        const base::Digest digest = digest_of_entry(listing, *item, what);
        seen.drawers[drawer] += digest;
        ++seen.entries;
        if (S_ISREG(item->status.st_mode)) seen.bytes += item->status.st_size;
        tell(item->path, digest);
      } catch (const base::Error& error) {
        seen.failures.push_back(error.failure());
      }
    }
  } catch (const base::Error& error) {
    seen.failures.push_back(error.failure());
  }
}

std::string told(const std::vector<std::pair<std::string, base::Digest>>& entries) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  for (const auto& [path, digest] : entries) {
    writer.put_string(path);
    writer.put(digest.low);
    writer.put(digest.high);
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What most nodes have, the lowest rank's where as many have another.
std::string most_common(const std::map<int, std::string>& by_rank) {
  std::map<std::string, int> count;
  for (const auto& [rank, value] : by_rank) ++count[value];
  std::string best = by_rank.begin()->second;
  for (const auto& [rank, value] : by_rank) {
    if (count[value] > count[best]) best = value;
  }
  return best;
}

class Nodes {
 public:
  Nodes(Phases& phases, const std::string& directory, const file::Metadata& what)
      : phases_(phases), session_(phases.session()), directory_(directory), what_(what) {
    const int me = session_.rank();
    leads_ = session_.node_of(me) == me;
    for (int rank = 0; rank < session_.size(); ++rank) {
      if (session_.node_of(rank) == rank) leaders_.push_back(rank);
    }
  }

  mpi::Verdict run(Report& report, Lines& lines) {
    Seen seen;
    mpi::Verdict all = look(std::vector<bool>(kDrawers, true), seen, nullptr);
    report.files = seen.entries;
    report.bytes = seen.bytes;
    report.errors = phases_.signed_here(std::move(seen.failures));
    if (all.interrupted != 0) return all;
    const std::vector<bool> differ = drawers_that_differ(seen);
    if (std::none_of(differ.begin(), differ.end(), [](bool one) { return one; })) return all;
    Seen again;
    std::vector<std::pair<std::string, base::Digest>> entries;
    all = look(differ, again, &entries);
    if (all.interrupted != 0) return all;
    const std::vector<std::string> texts = session_.gather(told(entries), kGatherSeconds);
    if (session_.rank() == 0) tell(texts, report, lines);
    return all;
  }

 private:
  mpi::Verdict look(const std::vector<bool>& wanted, Seen& seen,
                    std::vector<std::pair<std::string, base::Digest>>* entries) {
    std::function<void()> task;
    if (leads_) {
      task = [this, &wanted, &seen, entries] {
        look_over(directory_, what_, wanted, seen, [entries](const std::string& path, const base::Digest& digest) {
          if (entries != nullptr && entries->size() < kMostTold) entries->emplace_back(path, digest);
        });
      };
    }
    return phases_.run_task("verify", task, [] { return mpi::Verdict{}; });
  }

  bool all_the_same(std::uint64_t mine) {
    const std::vector<std::int64_t> all = session_.exchange(static_cast<std::int64_t>(mine));
    return std::all_of(leaders_.begin(), leaders_.end(), [&](int rank) {
      return all[static_cast<std::size_t>(rank)] == all[static_cast<std::size_t>(leaders_.front())];
    });
  }

  std::vector<bool> drawers_that_differ(const Seen& seen) {
    base::Digest whole;
    for (const base::Digest& drawer : seen.drawers) whole += drawer;
    std::vector<bool> differ(kDrawers, false);
    const bool low = all_the_same(whole.low);
    if (all_the_same(whole.high) && low) return differ;
    for (std::size_t i = 0; i < kDrawers; ++i) differ[i] = !all_the_same(seen.drawers[i].low ^ seen.drawers[i].high);
    return differ;
  }

  void tell(const std::vector<std::string>& texts, Report& report, Lines& lines) const {
    std::map<std::string, std::map<int, std::string>> entries;
    for (const int rank : leaders_) {
      const std::string& text = texts[static_cast<std::size_t>(rank)];
      base::Reader reader(std::as_bytes(std::span(text)));
      while (reader.left() > 0 && reader.ok()) {
        const std::string path = reader.get_string(kLongestPath);
        const auto low = reader.get<std::uint64_t>();
        const auto high = reader.get<std::uint64_t>();
        entries[path][rank] = fmt::format("{:x}-{:x}", high, low);
      }
    }
    for (auto& [path, by_rank] : entries) {
      for (const int rank : leaders_) by_rank.try_emplace(rank);
      const std::string usual = most_common(by_rank);
      for (const auto& [rank, value] : by_rank) {
        if (value == usual) continue;
        const char* how = value.empty() ? "missing" : usual.empty() ? "only" : "differs";
        lines.add(fmt::format("{}: {} on {} (rank {})", base::printable_name(path), how,
                              base::printable(session_.host(rank)), rank));
        ++report.differences;
      }
    }
  }

  Phases& phases_;
  mpi::Session& session_;
  std::string directory_;
  file::Metadata what_;
  bool leads_ = false;
  std::vector<int> leaders_;
};

}  // namespace

mpi::Verdict verify_nodes(Phases& phases, const std::string& directory, const file::Metadata& what, Report& report,
                          Observer* observer, bool json) {
  Lines lines(observer, json, report);
  const mpi::Verdict all = Nodes(phases, directory, what).run(report, lines);
  lines.flush();
  return all;
}

}  // namespace argosy::command
