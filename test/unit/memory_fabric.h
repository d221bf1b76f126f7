// Ranks in one process: a Transport that keeps messages in queues, a Source and a Sink in memory. What an engine does
// is then one thread's sequence of steps, the same in every run.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/endpoint.h"
#include "core/transport.h"

namespace argosy::test {

class Fabric;

class MemoryTransport final : public core::Transport {
 public:
  MemoryTransport(Fabric& fabric, int rank) : fabric_(fabric), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override;
  void send(int to, core::Tag tag, std::span<const std::byte> bytes, Sent sent) override;
  Ticket receive(int from, core::Tag tag, std::span<std::byte> into, Received received) override;
  void cancel(Ticket ticket) override {
    std::erase_if(posted_, [&](const Posted& posted) { return posted.ticket == ticket; });
  }
  std::size_t poll() override;
  std::span<const std::byte> memory_of(int rank) const override;
  std::size_t posted() const { return posted_.size(); }

 private:
  struct Posted {
    Ticket ticket;
    int from;
    core::Tag tag;
    std::span<std::byte> into;
    Received received;
  };
  Fabric& fabric_;
  int rank_;
  Ticket next_ = 1;
  std::deque<Posted> posted_;
};

// `damage` may change a message as it travels: (from, to, tag, bytes).
class Fabric {
 public:
  struct Message {
    int from;
    core::Tag tag;
    std::span<const std::byte> bytes;
    core::Transport::Sent sent;
    std::vector<std::byte> damaged;
  };
  explicit Fabric(int ranks) {
    for (int rank = 0; rank < ranks; ++rank) transports_.push_back(std::make_unique<MemoryTransport>(*this, rank));
  }
  MemoryTransport& operator[](int rank) { return *transports_[static_cast<std::size_t>(rank)]; }
  int size() const { return static_cast<int>(transports_.size()); }

  std::function<void(int from, int to, core::Tag, std::vector<std::byte>&)> damage;
  std::map<int, std::span<const std::byte>> shared;  // memory that every rank sees
  std::map<int, std::deque<Message>> inbox;
  std::map<core::Tag, int> count;

 private:
  std::vector<std::unique_ptr<MemoryTransport>> transports_;
};

inline int MemoryTransport::size() const { return fabric_.size(); }

inline void MemoryTransport::send(int to, core::Tag tag, std::span<const std::byte> bytes, Sent sent) {
  Fabric::Message message{rank_, tag, bytes, std::move(sent), {}};
  ++fabric_.count[tag];
  if (fabric_.damage) {
    message.damaged.assign(bytes.begin(), bytes.end());
    fabric_.damage(rank_, to, tag, message.damaged);
    message.bytes = message.damaged;
  }
  fabric_.inbox[to].push_back(std::move(message));
}

inline core::Transport::Ticket MemoryTransport::receive(int from, core::Tag tag, std::span<std::byte> into,
                                                        Received received) {
  posted_.push_back({next_, from, tag, into, std::move(received)});
  return next_++;
}

inline std::size_t MemoryTransport::poll() {
  std::size_t done = 0;
  auto& inbox = fabric_.inbox[rank_];
  for (auto message = inbox.begin(); message != inbox.end();) {
    const auto posted = std::find_if(posted_.begin(), posted_.end(), [&](const Posted& p) {
      return p.tag == message->tag && (p.from == core::kAnyRank || p.from == message->from);
    });
    if (posted == posted_.end()) {
      ++message;
      continue;
    }
    if (message->bytes.size() > posted->into.size()) throw std::length_error("message is longer than its receive");
    std::copy(message->bytes.begin(), message->bytes.end(), posted->into.begin());
    const Received received = std::move(posted->received);
    posted_.erase(posted);
    const Fabric::Message taken = std::move(*message);
    inbox.erase(message);
    taken.sent();
    received(taken.from, taken.bytes.size());
    message = inbox.begin();
    ++done;
  }
  return done;
}

inline std::span<const std::byte> MemoryTransport::memory_of(int rank) const {
  const auto found = fabric_.shared.find(rank);
  return found == fabric_.shared.end() ? std::span<const std::byte>{} : found->second;
}

// Files in memory; `fail_reads` and `changed` name entries that fail.
class MemorySource final : public core::Source {
 public:
  struct File {
    std::string name;
    std::string content;
    bool missing = false;
    bool open_ended = false;
  };
  explicit MemorySource(std::vector<File> files, std::size_t entries_a_page = core::kEntriesAPage)
      : a_page(entries_a_page), files_(std::move(files)) {}

  core::Listing next_entries() override {
    core::Listing listing;
    while (listed_ < files_.size() && listing.entries.size() < a_page) {
      const File& file = files_[listed_++];
      core::Entry entry;
      entry.path = file.name;
      entry.size = file.missing ? core::kMissing : file.open_ended ? 0 : static_cast<std::int64_t>(file.content.size());
      entry.open_ended = file.open_ended;
      listing.entries.push_back(entry);
      if (file.missing) listing.failures.push_back({base::Kind::kSource, file.name, -1, {}, ENOENT, "missing"});
    }
    return listing;
  }
  void adopt(const core::Page& page) override { listed_ += page.entries.size(); }
  std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) override {
    const File& file = files_.at(entry);
    ++reads;
    if (fail_reads_from.contains(entry) && offset >= fail_reads_from[entry]) {
      throw base::Error(base::Kind::kSource, file.name, EIO, "read failed");
    }
    const auto rest = std::string_view(file.content).substr(static_cast<std::size_t>(offset), into.size());
    std::memcpy(into.data(), rest.data(), rest.size());
    return rest.size();
  }
  void close(std::uint64_t entry) override {
    closed.push_back(entry);
    if (changed.contains(entry)) throw base::Error(base::Kind::kSource, files_.at(entry).name, 0, "changed");
  }

  std::size_t a_page;  // entries
  std::map<std::uint64_t, std::int64_t> fail_reads_from;
  std::set<std::uint64_t> changed;
  std::vector<std::uint64_t> closed;
  int reads = 0;

 private:
  std::vector<File> files_;
  std::size_t listed_ = 0;
};

// `visible` is what a user would see.
class MemorySink final : public core::Sink {
 public:
  std::vector<bool> examine(const core::Page& page) override {
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      told.push_back(page.entries[i]);
      wanted.push_back(page.entries[i].readable() && !in_place.contains(page.entries[i].path));
      if (wanted.back()) names_[page.first + i] = page.entries[i].path;
    }
    return wanted;
  }
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override {
    ++writes;
    const auto end = static_cast<std::size_t>(offset) + data.size();
    if (fail_writes_from >= 0 && offset >= fail_writes_from) {
      throw base::Error(base::Kind::kDestination, names_.at(entry), ENOSPC, "full");
    }
    std::string& content = hidden[entry];
    if (content.size() < end) content.resize(end);
    if (!data.empty()) std::memcpy(content.data() + offset, data.data(), data.size());
  }
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) override {
    if (fail_commits) throw base::Error(base::Kind::kDestination, names_.at(entry), EIO, "commit failed");
    hidden[entry].resize(static_cast<std::size_t>(length));
    digests[names_.at(entry)] = digest;
    visible[names_.at(entry)] = std::move(hidden[entry]);
    hidden.erase(entry);
  }
  void discard(std::uint64_t entry) noexcept override { hidden.erase(entry); }

  std::map<std::string, std::string> visible;
  std::map<std::string, base::Digest> digests;
  std::map<std::uint64_t, std::string> hidden;
  std::vector<core::Entry> told;
  std::set<std::string> in_place;
  std::int64_t fail_writes_from = -1;
  bool fail_commits = false;
  int writes = 0;

 private:
  std::map<std::uint64_t, std::string> names_;
};

}  // namespace argosy::test
