// Is a folder the same on every node? Each node's leader digests what it sees, and the digests meet: first one for the
// whole tree, and only where that differs one for each of a number of drawers, into which paths are put by their hash.
// What the nodes have in the drawers that differ then goes to rank 0 in the order of a listing, a batch at a time, and
// is laid side by side there. So little travels, and nobody holds the tree, however much of it differs.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/failures.h"
#include "base/interrupt.h"
#include "command/dealt.h"
#include "command/place.h"
#include "command/verify.h"
#include "command/verify_merge.h"
#include "file/compare.h"
#include "file/digest_file.h"
#include "file/first_names.h"
#include "file/listing.h"
#include "file/temporary.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kDrawers = 1024;
constexpr double kGatherSeconds = 3600;
constexpr std::size_t kLongestPath = 256 * 1024;
// What is on its way to rank 0, of all nodes and of one.
constexpr std::size_t kBytesOfAll = 8 << 20;
constexpr std::size_t kMostBytes = 256 * 1024;
constexpr std::size_t kLeastBytes = 4 * 1024;

using Drawers = std::array<base::Digest, kDrawers>;

std::size_t drawer_of(std::string_view path) { return file::hash_of(path) % kDrawers; }

// A tree as a rank sees it, entry by entry. On an I/O thread.
class Tree {
 public:
  Tree(std::string directory, const file::Metadata& what) : directory_(std::move(directory)), what_(what) {}

  // The next entry in a wanted drawer, the folder itself first; nothing at the end.
  std::optional<Told> next(const std::vector<bool>& wanted) {
    while (base::interrupted() == 0) {
      auto told = look(wanted);
      if (!told || wanted[drawer_of(told->path)]) return told;
    }
    return std::nullopt;
  }
  // Of what next() has told.
  const base::Failures& failures() const { return failures_; }
  std::int64_t entries() const { return entries_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::optional<Told> look(const std::vector<bool>& wanted) {
    Told told;
    try {
      if (!begun_) {
        begun_ = true;
        listing_ = std::make_unique<file::Listing>(directory_);
        file::Listing::Item top;
        if (fstat(listing_->folders().base(), &top.status) != 0)
          throw base::system_error(Kind::kSource, directory_, errno, "can't be read");
        if (wanted[drawer_of({})]) told.digest = digest(top, 0);
        return told;
      }
      auto item = listing_ ? listing_->next() : std::nullopt;
      if (!item) return std::nullopt;
      told.path = item->path;
      if (item->failure) throw base::Error(*item->failure);
      // Names are told apart by the first of each file, whatever drawer that is in.
      const bool several = item->status.st_nlink > 1 && !S_ISDIR(item->status.st_mode);
      const std::uint64_t first = several ? names_.first(item->status, item->path) : file::hash_of(item->path);
      if (wanted[drawer_of(told.path)]) {
        told.digest = digest(*item, first);
        ++entries_;
        if (S_ISREG(item->status.st_mode)) bytes_ += item->status.st_size;
      }
    } catch (const base::Error& error) {
      told.unreadable = true;
      if (wanted[drawer_of(told.path)]) failures_.add(error.failure());
    }
    return told;
  }

  // What tells one entry from another of its path, its content included. `first`: of its names.
  base::Digest digest(const file::Listing::Item& item, std::uint64_t first) {
    const file::Place place{listing_->folders(), item.path};
    const std::string shown = item.path.empty() ? directory_ : listing_->shown(item.path);
    const core::Entry entry = file::entry_of(place, item.status, shown);
    std::vector<std::byte> bytes;
    base::Writer writer(bytes);
    writer.put_string(item.path);
    writer.put(first);
    writer.put(static_cast<std::uint8_t>(entry.type));
    writer.put(entry.size);
    writer.put(entry.device);
    writer.put_string(entry.link);
    const bool link = entry.type == core::Type::kSymlink;
    // Set-id bits go only with their owner.
    if (what_.mode && !link) writer.put(entry.mode & (what_.owner ? 07777U : 01777U));
    if (what_.owner) {
      writer.put(entry.uid);
      writer.put(entry.gid);
    }
    // The folder itself got its time when something in it was made, which is another one on each node.
    if (what_.times && !item.path.empty()) {
      writer.put(entry.mtime.seconds);
      writer.put(entry.mtime.nanoseconds);
    }
    if (what_.attributes && file::may_have_attributes(entry.type)) {
      for (const core::Attribute& attribute : file::attributes_of(place, shown)) {
        writer.put_string(attribute.name);
        writer.put_string(attribute.value);
      }
    }
    if (entry.type == core::Type::kFile) {
      const file::OpenedForDigest content(shown, shown, entry.size);
      const base::Digest sum = content.sum(0, entry.size);
      writer.put(sum.low);
      writer.put(sum.high);
    }
    return base::digest_of(bytes, 0);
  }

  std::string directory_;
  file::Metadata what_;
  bool begun_ = false;
  std::unique_ptr<file::Listing> listing_;
  file::FirstNames names_;
  base::Failures failures_;
  std::int64_t entries_ = 0;
  std::int64_t bytes_ = 0;
};

// A batch: entries, and whether they are the last.
std::string packed(const std::vector<Told>& entries, bool ended) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(static_cast<std::uint8_t>(ended ? 1 : 0));
  for (const Told& told : entries) {
    writer.put_string(told.path);
    writer.put(told.digest.low);
    writer.put(told.digest.high);
    writer.put(static_cast<std::uint8_t>(told.unreadable ? 1 : 0));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<Told> unpacked(const std::string& text, bool& ended) {
  base::Reader reader(std::as_bytes(std::span(text)));
  ended = reader.get<std::uint8_t>() != 0;
  std::vector<Told> entries;
  while (reader.ok() && reader.left() > 0) {
    Told told;
    told.path = reader.get_string(kLongestPath);
    told.digest.low = reader.get<std::uint64_t>();
    told.digest.high = reader.get<std::uint64_t>();
    told.unreadable = reader.get<std::uint8_t>() != 0;
    entries.push_back(std::move(told));
  }
  if (!reader.ok()) throw base::Error(Kind::kIntegrity, {}, 0, "what a node has was damaged on its way");
  return entries;
}

class Nodes {
 public:
  Nodes(Phases& phases, const std::string& start, const std::string& directory, const file::Metadata& what)
      : phases_(phases), session_(phases.session()), what_(what) {
    const int me = session_.rank();
    directory_ = absolute(start, expand(directory, me, session_.host(me)));
    sides_ = owners(session_, directory);
    takes_part_ = std::find(sides_.begin(), sides_.end(), me) != sides_.end();
    batch_bytes_ = std::clamp(kBytesOfAll / sides_.size(), kLeastBytes, kMostBytes);
  }

  mpi::Verdict run(Report& report, Lines& lines, base::Failures& failures) {
    const std::vector<bool> every(kDrawers, true);
    Drawers drawers{};
    Tree tree(directory_, what_);
    mpi::Verdict all = look([&] {
      while (const auto told = tree.next(every)) {
        // Of what can't be read the digest stays that of nothing: it differs from what others have.
        drawers[drawer_of(told->path)] += told->digest;
      }
    });
    report.files = tree.entries();
    report.bytes = tree.bytes();
    failures = tree.failures();
    if (all.interrupted != 0) return all;
    const std::vector<bool> differ = drawers_that_differ(drawers);
    if (std::none_of(differ.begin(), differ.end(), [](bool one) { return one; })) return all;
    return lay_side_by_side(differ, report, lines, failures);
  }

 private:
  // A phase in which those who take part do something.
  mpi::Verdict look(std::function<void()> task) {
    return phases_.run_task("verify", takes_part_ ? std::move(task) : nullptr, [] { return mpi::Verdict{}; });
  }

  bool all_the_same(std::uint64_t mine) {
    const std::vector<std::int64_t> all = session_.exchange(static_cast<std::int64_t>(mine));
    return std::all_of(sides_.begin(), sides_.end(), [&](int rank) {
      return all[static_cast<std::size_t>(rank)] == all[static_cast<std::size_t>(sides_.front())];
    });
  }

  std::vector<bool> drawers_that_differ(const Drawers& drawers) {
    base::Digest whole;
    for (const base::Digest& drawer : drawers) whole += drawer;
    std::vector<bool> differ(kDrawers, false);
    const bool low = all_the_same(whole.low);
    if (all_the_same(whole.high) && low) return differ;
    const auto bytes = std::as_bytes(std::span(drawers));
    const std::vector<std::string> all =
        session_.exchange(takes_part_ ? std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) : "");
    const std::string& first = all[static_cast<std::size_t>(sides_.front())];
    for (std::size_t i = 0; i < kDrawers; ++i) {
      const auto mine = [&](const std::string& text) {
        return std::string_view(text).substr(i * sizeof(base::Digest), sizeof(base::Digest));
      };
      differ[i] = std::any_of(sides_.begin(), sides_.end(),
                              [&](int rank) { return mine(all[static_cast<std::size_t>(rank)]) != mine(first); });
    }
    return differ;
  }

  // Batch by batch, from those whose last one rank 0 has used up.
  mpi::Verdict lay_side_by_side(const std::vector<bool>& differ, Report& report, Lines& lines,
                                base::Failures& failures) {
    Merge merge(sides_.size(), [&](const std::string& path, std::size_t side, std::string_view how) {
      const int rank = sides_[side];
      lines.add(fmt::format("{}: {} on {} (rank {})", path.empty() ? "." : base::printable_name(path), how,
                            base::printable(session_.host(rank)), rank));
      ++report.differences;
    });
    Tree tree(directory_, what_);
    std::string wanted(static_cast<std::size_t>(session_.size()), '1');
    mpi::Verdict all;
    while (wanted.find('1') != std::string::npos) {
      std::string batch;
      const bool asked = wanted[static_cast<std::size_t>(session_.rank())] == '1';
      all = look([&] {
        if (asked) batch = next_batch(tree, differ);
      });
      if (all.interrupted != 0) break;
      const std::vector<std::string> texts = session_.gather(batch, kGatherSeconds);
      if (session_.rank() == 0) take(texts, merge, wanted);
      wanted = session_.exchange(session_.rank() == 0 ? wanted : std::string()).front();
    }
    // What was told the first time is not told again.
    for (const base::Failure& failure : tree.failures().kept()) {
      const auto& known = failures.kept();
      const auto is_it = [&](const base::Failure& one) { return one.path == failure.path; };
      if (std::none_of(known.begin(), known.end(), is_it)) failures.add(failure);
    }
    return all;
  }

  std::string next_batch(Tree& tree, const std::vector<bool>& differ) const {
    std::vector<Told> entries;
    std::size_t size = 0;
    while (size < batch_bytes_) {
      auto told = tree.next(differ);
      if (!told) return packed(entries, true);
      size += told->path.size() + sizeof(Told);
      entries.push_back(std::move(*told));
    }
    return packed(entries, false);
  }

  // Rank 0.
  void take(const std::vector<std::string>& texts, Merge& merge, std::string& wanted) const {
    for (std::size_t side = 0; side < sides_.size(); ++side) {
      const std::string& text = texts[static_cast<std::size_t>(sides_[side])];
      if (text.empty()) continue;
      bool ended = false;
      std::vector<Told> entries = unpacked(text, ended);
      merge.add(side, std::move(entries), ended);
    }
    merge.judge();
    std::fill(wanted.begin(), wanted.end(), '0');
    for (std::size_t side = 0; side < sides_.size(); ++side) {
      if (merge.wants(side)) wanted[static_cast<std::size_t>(sides_[side])] = '1';
    }
  }

  Phases& phases_;
  mpi::Session& session_;
  std::string directory_;
  file::Metadata what_;
  bool takes_part_ = false;
  std::vector<int> sides_;  // the ranks that take part
  std::size_t batch_bytes_ = 0;
};

}  // namespace

mpi::Verdict verify_nodes(Phases& phases, const std::string& start, const std::string& directory,
                          const file::Metadata& what, Report& report, Lines& lines, base::Failures& failures) {
  return Nodes(phases, start, directory, what).run(report, lines, failures);
}

}  // namespace argosy::command
