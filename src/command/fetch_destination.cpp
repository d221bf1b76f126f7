#include "command/fetch_destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/interrupt.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kReadBytes = 1 << 20;

}  // namespace

std::string unequal(const End& end, const std::function<std::size_t(std::int64_t, std::span<std::byte>)>& read) {
  const http::Checksum* wanted = http::strongest(end.checksums);
  if (wanted == nullptr && end.pieces.length == 0) return {};
  std::optional<http::Hasher> whole;
  if (wanted != nullptr) whole.emplace(wanted->algorithm);
  std::optional<http::Hasher> piece;
  std::size_t number = 0;
  std::int64_t in_piece = 0;
  const auto close_piece = [&]() -> std::string {
    if (!piece) return {};
    const http::Checksum is = piece->finish();
    piece.reset();
    const std::int64_t first = static_cast<std::int64_t>(number) * end.pieces.length;
    if (number >= end.pieces.checksums.size()) return "is longer than all its pieces together";
    if (is != end.pieces.checksums[number]) {
      return fmt::format("bytes {} to {} have {}, and {} by the Metalink", first, first + in_piece, http::to_string(is),
                         http::to_string(end.pieces.checksums[number]));
    }
    ++number;
    in_piece = 0;
    return {};
  };
  std::vector<std::byte> buffer(kReadBytes);
  for (std::int64_t at = 0; at < end.size;) {
    std::size_t most = buffer.size();
    if (end.pieces.length > 0) {
      most = std::min(most, static_cast<std::size_t>(end.pieces.length - in_piece));
      if (!piece) piece.emplace(end.pieces.checksums.empty() ? "sha-256" : end.pieces.checksums[0].algorithm);
    }
    const std::size_t got = read(at, std::span(buffer).first(most));
    if (got == 0) return "is shorter on disk than it was written";
    if (base::interrupted() != 0) return "was not checked to its end";
    const auto data = std::span(buffer).first(got);
    if (whole) whole->add(data);
    if (piece) piece->add(data);
    at += static_cast<std::int64_t>(got);
    in_piece += static_cast<std::int64_t>(got);
    if (end.pieces.length > 0 && in_piece == end.pieces.length) {
      if (std::string why = close_piece(); !why.empty()) return why;
    }
  }
  if (std::string why = close_piece(); !why.empty()) return why;
  if (end.pieces.length > 0 && number != end.pieces.checksums.size()) return "is shorter than all its pieces together";
  if (!whole) return {};
  const http::Checksum is = whole->finish();
  if (is == *wanted) return {};
  return fmt::format("is {}, and should be {}", http::to_string(is), http::to_string(*wanted));
}

FetchDestination::FetchDestination(engine::Workers& workers, file::Downloads& downloads, Settings settings,
                                   std::function<void(const Word&)> say)
    : workers_(workers), downloads_(downloads), settings_(settings), say_(std::move(say)) {}

const std::string& FetchDestination::guess(std::uint64_t entry) const {
  const std::uint64_t index = index_of(entry);
  if (index >= names_.size()) throw base::Error(Kind::kIntegrity, {}, 0, "data has come of what nobody asked for");
  return names_[index];
}

void FetchDestination::arrived(const engine::MessageUse& message) {
  std::string why;
  const auto view = core::open_chunk(message->bytes(), why);
  if (!view) throw base::Error(Kind::kIntegrity, {}, 0, why);
  std::vector<Extent> extents;
  std::span<const std::byte> rest = view->payload;
  for (const core::Record& record : view->records) {
    if (record.kind != core::Record::Kind::kData) continue;
    const auto data = rest.first(static_cast<std::size_t>(record.length));
    rest = rest.subspan(data.size());
    const std::string& name = guess(record.entry);
    if (discarded_.contains(record.entry)) continue;
    Account& account = accounts_[record.entry];
    if (account.failed || !account.in_place.empty()) continue;
    Extent extent{name, record, data, std::nullopt, message};
    // Only the last extent of a file ends inside a leaf: so this is the first and the last.
    if (record.offset == 0 && record.length % base::kLeafSize != 0) {
      small_[record.entry] = std::move(extent);
      settle(record.entry);
    } else {
      ++account.writing;
      extents.push_back(std::move(extent));
    }
  }
  if (!extents.empty()) start_writing(std::move(extents));
}

void FetchDestination::start_writing(std::vector<Extent> extents) {
  ++tasks_;
  auto shared = std::make_shared<std::vector<Extent>>(std::move(extents));
  workers_.post(
      [this, shared] {
        for (Extent& extent : *shared) {
          write(extent);
          note(extent);
        }
      },
      [this, shared] {
        --tasks_;
        written(*shared);
        // The slot goes back here, on the main thread.
        shared->clear();
      });
}

void FetchDestination::write(Extent& extent) noexcept {
  const core::Record& record = extent.record;
  try {
    if (engine::timed_digest(workers_.meter(), extent.data, record.offset) != record.digest) {
      throw base::Error(
          Kind::kIntegrity, extent.guess, 0,
          fmt::format("bytes {} to {} were damaged on their way", record.offset, record.offset + record.length));
    }
    const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
    downloads_.write(record.entry, extent.guess, record.offset, extent.data);
  } catch (const base::Error& error) {
    extent.failure = error.failure();
  }
}

// So that the next run knows it, should this one not come to its end.
void FetchDestination::note(Extent& extent) noexcept {
  if (extent.failure) return;
  const core::Record& record = extent.record;
  try {
    const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
    downloads_.note(record.entry, {record.offset, record.offset + record.length}, record.digest);
  } catch (const base::Error& error) {
    extent.failure = error.failure();
  }
}

void FetchDestination::written(const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    const auto found = accounts_.find(extent.record.entry);
    if (found == accounts_.end()) continue;
    Account& account = found->second;
    --account.writing;
    if (extent.failure) {
      fail(extent.record.entry, account, *extent.failure);
    } else {
      account.written += extent.record.length;
      account.sum += extent.record.digest;
      bytes_written_ += extent.record.length;
    }
    settle(extent.record.entry);
  }
}

void FetchDestination::fail(std::uint64_t entry, Account& account, const base::Failure& failure) {
  if (account.failed) return;
  account.failed = true;
  failures_.push_back(failure);
  say_(Receipt{entry, failure.kind == Kind::kIntegrity ? Kind::kSystem : failure.kind, {}});
}

void FetchDestination::end(End end) {
  static_cast<void>(guess(end.entry));
  const std::uint64_t entry = end.entry;
  if (discarded_.contains(entry)) return;
  accounts_[entry].end = std::move(end);
  settle(entry);
}

// Commits or takes away, once nothing is being written.
void FetchDestination::settle(std::uint64_t entry) {
  const auto found = accounts_.find(entry);
  if (found == accounts_.end() || found->second.writing > 0) return;
  Account& account = found->second;
  if (account.failed) {
    // What still comes of it is dropped.
    discarded_.insert(entry);
    small_.erase(entry);
    const bool stays = account.stays;
    accounts_.erase(found);
    return take_away(entry, stays);
  }
  if (!account.end) return;
  if (!account.in_place.empty()) return settle_in_place(entry, account);
  const auto small = small_.find(entry);
  const bool is_small = small != small_.end();
  const std::int64_t here = account.written + (is_small ? small->second.record.length : 0);
  if (here < account.end->size) return;
  Commit commit{guess(entry), std::move(*account.end), account.sum, std::nullopt, {}, std::nullopt};
  if (is_small) {
    commit.sum += small->second.record.digest;
    bytes_written_ += small->second.record.length;
    commit.extent = std::move(small->second);
    small_.erase(small);
  }
  (is_small ? ready_ : ready_large_).push_back(std::move(commit));
  accounts_.erase(found);
}

bool FetchDestination::step() {
  const bool any = !ready_large_.empty() || (!ready_.empty() && !committing_);
  for (Commit& commit : ready_large_) {
    std::vector<Commit> one;
    one.push_back(std::move(commit));
    start_committing(std::move(one));
  }
  ready_large_.clear();
  if (!ready_.empty() && !committing_) {
    committing_ = true;
    start_committing(std::exchange(ready_, {}));
  }
  return any;
}

void FetchDestination::start_committing(std::vector<Commit> commits) {
  ++tasks_;
  auto shared = std::make_shared<std::vector<Commit>>(std::move(commits));
  const bool small = shared->front().extent.has_value();
  workers_.post(
      [this, shared] {
        for (Commit& one : *shared) commit(one);
      },
      [this, shared, small] {
        --tasks_;
        if (small) committing_ = false;
        for (const Commit& one : *shared) committed(one);
        shared->clear();
      });
}

void FetchDestination::commit(Commit& commit) noexcept {
  const End& end = commit.end;
  const auto read = [&](std::int64_t offset, std::span<std::byte> into) {
    return downloads_.read(end.entry, offset, into);
  };
  if (commit.extent) {
    write(*commit.extent);
    commit.failure = commit.extent->failure;
  }
  try {
    if (commit.failure) throw base::Error(*commit.failure);
    if (base::close_digest(commit.sum, end.size) != end.digest) {
      throw base::Error(Kind::kIntegrity, end.name, 0, "the digest differs from that of what was fetched");
    }
    commit.unequal = unequal(end, read);
    if (commit.unequal.empty() && settings_.read_back) read_back(end);
    if (commit.unequal.empty()) {
      const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
      downloads_.commit(end.entry, commit.guess, {end.name, end.etag, end.source, end.size, end.digest, end.modified});
    }
  } catch (const base::Error& error) {
    commit.failure = error.failure();
  }
  if (commit.failure || !commit.unequal.empty()) downloads_.discard(end.entry);
}

// What was written is read again and compared.
void FetchDestination::read_back(const End& end) const {
  base::Digest sum;
  std::vector<std::byte> buffer(kReadBytes);
  downloads_.forget_cached(end.entry);
  for (std::int64_t at = 0; at < end.size;) {
    const auto most =
        static_cast<std::size_t>(std::min<std::int64_t>(static_cast<std::int64_t>(buffer.size()), end.size - at));
    const std::size_t got = downloads_.read(end.entry, at, std::span(buffer).first(most));
    if (got == 0) break;
    sum += base::digest_of(std::span(buffer).first(got), at);
    at += static_cast<std::int64_t>(got);
  }
  if (base::close_digest(sum, end.size) != end.digest) {
    throw base::Error(Kind::kIntegrity, end.name, 0, "what was read back differs from what was written");
  }
}

void FetchDestination::committed(const Commit& commit) {
  base::note_activity();
  Receipt receipt;
  receipt.entry = commit.end.entry;
  if (!commit.unequal.empty()) {
    receipt.kind = Kind::kIntegrity;
    receipt.message = commit.unequal;
  } else if (commit.failure) {
    failures_.push_back(*commit.failure);
    receipt.kind = commit.failure->kind == Kind::kIntegrity ? Kind::kSystem : commit.failure->kind;
  } else {
    ++files_;
  }
  say_(receipt);
}

}  // namespace argosy::command
